"""The command line: `python -m clickpost_async demo`, `… sandbox`."""

try:
    import cyclopts as cyclopts
    import rich as rich
except ImportError as _missing:
    raise ImportError(
        "the command line needs cyclopts and rich: pip install 'clickpost_async[cli]'"
    ) from _missing

from clickpost_async.cli.main import main as main
