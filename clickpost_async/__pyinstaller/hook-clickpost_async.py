"""Files and modules that PyInstaller does not find by itself: pages, scripts, lazy imports."""

from importlib.util import find_spec
from pathlib import Path

from PyInstaller.utils.hooks import copy_metadata  # type: ignore[import-untyped]  # not a dependency

import clickpost_async

_PACKAGE = Path(clickpost_async.__file__).parent

datas = [
    # What `__version__` is read from.
    *copy_metadata("clickpost_async"),
    # Templates and pages of the sandbox, Redis's scripts, layouts of order files.
    *(
        (str(path), str(path.parent.relative_to(_PACKAGE.parent)))
        for path in sorted(_PACKAGE.rglob("*"))
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ),
]

# Imported by their names, so that a program that does without them starts faster.
hiddenimports = [
    *(
        f"clickpost_async.{path.parent.name}.{path.stem}"
        for folder in ("endpoints", "structures")
        for path in sorted((_PACKAGE / folder).glob("*.py"))
        if path.stem != "__init__"
    ),
    *(name for name in ("orjson", "tenacity") if find_spec(name)),
]
