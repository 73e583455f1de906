"""The command line: `clickpost`, or `python -m clickpost_async`."""

from clickpost_async._util.extras import require

with require("the command line needs cyclopts and rich", "clickpost_async[cli]"):
    import cyclopts as cyclopts
    import rich as rich

from clickpost_async.cli.main import main as main
