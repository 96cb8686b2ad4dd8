"""The entry point of `python -m bot`, which is the same as `livestream-bot`."""

from bot.cli import main

if __name__ == "__main__":
    main()
