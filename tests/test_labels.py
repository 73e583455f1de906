"""Labels are merged into one file, or the error names the damaged one."""

import builtins
import importlib
import io
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter

from clickpost_async.labels import merge


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def pdf(*widths: int) -> bytes:
    writer = PdfWriter()
    for width in widths:
        writer.add_blank_page(width, 400)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def saved(directory: Path, **files: bytes) -> Sequence[Path]:
    for name, content in files.items():
        (directory / f"{name}.pdf").write_bytes(content)
    return [directory / f"{name}.pdf" for name in files]


def widths(path: Path) -> list[int]:
    return [int(page.mediabox.width) for page in PdfReader(path).pages]


def test_pages_follow_each_other_in_the_order_given(tmp_path: Path) -> None:
    paths = saved(tmp_path, b=pdf(100, 200), a=pdf(300))
    into = merge((str(path) for path in paths), str(tmp_path / "all.pdf"))
    assert into == tmp_path / "all.pdf"
    assert widths(into) == [100, 200, 300]
    assert stat.S_IMODE(into.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damaged", [b"", b"<html>", pdf(100)[:-40], pdf(100)[40:], b"%PDF-1.4\nnothing\n%%EOF\n"]
)
def test_damaged_label_is_named_and_nothing_is_written(tmp_path: Path, damaged: bytes) -> None:
    paths = saved(tmp_path, good=pdf(100), bad=damaged)
    with pytest.raises(ValueError, match=r"^bad\.pdf cannot be read as a PDF"):
        merge(paths, tmp_path / "all.pdf")
    assert names_in(tmp_path) == ["bad.pdf", "good.pdf"]


def test_missing_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pdf"):
        merge([tmp_path / "none.pdf"], tmp_path / "all.pdf")


def test_no_labels_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labels to merge"):
        merge([], tmp_path / "all.pdf")
    assert names_in(tmp_path) == []


def test_existing_file_is_kept_unless_overwrite_is_set(tmp_path: Path) -> None:
    paths = saved(tmp_path, one=pdf(100))
    into = tmp_path / "all.pdf"
    into.write_text("kept")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        merge(paths, into)
    assert into.read_text() == "kept"
    assert widths(merge(paths, into, overwrite=True)) == [100]


def test_label_may_be_replaced_by_a_file_that_holds_it(tmp_path: Path) -> None:
    (one,) = saved(tmp_path, one=pdf(100))
    assert widths(merge([one, one], one, overwrite=True)) == [100, 100]


def test_missing_pypdf_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pypdf"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "clickpost_async.labels")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'clickpost_async\[labels\]'"):
        importlib.import_module("clickpost_async.labels")
