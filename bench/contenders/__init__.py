"""The programs that the bot is compared with: each does the same job, in its own module and process."""
