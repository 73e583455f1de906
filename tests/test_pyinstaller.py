"""What the PyInstaller hook includes; a program that it has built was tried by hand."""

import importlib
import runpy
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "clickpost_async"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the hook as PyInstaller does: found by the entry point, with its utilities."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["entry-points"]["pyinstaller40"]["hook-dirs"].partition(":")
    [folder] = getattr(importlib.import_module(module), function)()

    utilities: Any = ModuleType("PyInstaller.utils.hooks")
    utilities.copy_metadata = lambda name: [(f"{name}.dist-info", f"{name}.dist-info")]
    monkeypatch.setitem(sys.modules, "PyInstaller", ModuleType("PyInstaller"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils", ModuleType("PyInstaller.utils"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", utilities)
    return SimpleNamespace(**runpy.run_path(str(Path(folder) / "hook-clickpost_async.py")))


def test_hook_collects_every_file_that_is_not_python(hook: Any) -> None:
    data = {source: target for source, target in hook.datas if not source.endswith(".dist-info")}

    assert {Path(source).relative_to(PACKAGE).as_posix() for source in data} == {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    for name, target in (
        ("sandbox/page/index.html", "clickpost_async/sandbox/page"),
        ("limits/token_bucket.lua", "clickpost_async/limits"),
        ("fleet/ledger.lua", "clickpost_async/fleet"),
        ("files/exports/shopify.toml", "clickpost_async/files/exports"),
        ("files/orders.csv", "clickpost_async/files"),
        ("py.typed", "clickpost_async"),
    ):
        assert data[str(PACKAGE / name)] == target
    assert ("clickpost_async.dist-info", "clickpost_async.dist-info") in hook.datas


def test_hook_names_existing_modules_that_are_imported_by_name(hook: Any) -> None:
    for name in ("endpoints.orders", "structures.reports"):
        assert f"clickpost_async.{name}" in hook.hiddenimports
    assert "tenacity" in hook.hiddenimports
    assert [name for name in hook.hiddenimports if find_spec(name) is None] == []
