"""What the bot is compared with: programs that do the same for people, each in a module and a process of its own."""
