"""`clickpost`, and `python -m clickpost_async`."""

import sys


def main() -> None:
    """Run the command line, or print what to install where its libraries are missing."""
    try:
        from clickpost_async.cli import main as command_line
    except ImportError as error:
        sys.exit(str(error))
    command_line()


if __name__ == "__main__":
    main()
