"""What is written about orders is its owner's alone, whatever was there before."""

import os
import stat
from pathlib import Path

import pytest

from clickpost_async._util.private_files import make_private, open_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def generous_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o640, 0o600, 0o400])
def test_file_is_private_before_anything_is_written(before: int | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.touch(before)
        path.chmod(before)
    # Only root may write to what its owner may only read.
    access = os.O_RDONLY if before == 0o400 else os.O_RDWR
    descriptor = open_private(path, access | os.O_CREAT)
    try:
        assert mode(path) == 0o600
    finally:
        os.close(descriptor)


def test_file_that_was_opened_is_changed_and_not_what_its_name_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.touch(0o644)
    other.touch(0o644)
    opened = os.open

    def swapped(name: object, *how: int) -> int:
        descriptor = opened(path, *how)
        path.rename(tmp_path / "moved")
        other.rename(path)
        return descriptor

    monkeypatch.setattr(os, "open", swapped)
    os.close(open_private(path, os.O_RDWR))
    assert (mode(tmp_path / "moved"), mode(path)) == (0o600, 0o644)


def test_link_is_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.touch(0o644)
    link.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        open_private(link, os.O_RDWR)
    with pytest.raises(OSError, match="symbolic link"):
        make_private(link)
    assert mode(victim) == 0o644


def test_device_keeps_its_mode() -> None:
    before = mode(Path("/dev/null"))
    os.close(open_private("/dev/null", os.O_WRONLY))
    assert mode(Path("/dev/null")) == before


def test_missing_file_is_not_created(tmp_path: Path) -> None:
    make_private(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_descriptor_is_not_left_open_where_the_mode_cannot_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.touch(0o644)
    closed: list[int] = []
    close = os.close

    def refuses(descriptor: int, _: int) -> None:
        raise PermissionError("another owner")

    def noted(descriptor: int) -> None:
        closed.append(descriptor)
        close(descriptor)

    monkeypatch.setattr(os, "fchmod", refuses)
    monkeypatch.setattr(os, "close", noted)
    with pytest.raises(PermissionError):
        open_private(path, os.O_RDWR)
    assert len(closed) == 1


def test_without_modes_as_on_windows_it_opens_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fchmod")
    path = tmp_path / "file"
    path.touch(0o644)
    os.close(open_private(path, os.O_RDWR))
    assert mode(path) == 0o644
