"""`python -m clickpost_async`."""

from clickpost_async.cli import main

main()
