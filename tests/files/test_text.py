import io

import pytest

from clickpost_async.files import text as module
from clickpost_async.files.text import Lines, UnreadableLineError, decode


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Köln\n".encode(), "Köln\n"),
        (b"\xef\xbb\xbf" + "Köln\n".encode(), "Köln\n"),
        ("Köln\n".encode("utf-16"), "Köln\n"),
        ("Köln – “Zülpich”\n".encode("cp1252"), "Köln – “Zülpich”\n"),
        (b"\x81\n", "\ufffd\n"),
        ("Köln\n".encode() + "Köln\n".encode("cp1252"), "Köln\nKöln\n"),
        (b"", ""),
    ],
)
def test_a_file_is_read_by_the_encoding_it_is_in(content: bytes, text: str) -> None:
    assert decode(io.BufferedReader(io.BytesIO(content))).read() == text


def test_the_first_line_can_be_looked_at_before_it_is_taken() -> None:
    lines = Lines(io.StringIO("\ufeffa\nb\n"))

    assert lines.peek() == "a\n"
    assert list(lines) == ["a\n", "b\n"]


def test_looking_ahead_passes_over_blank_lines() -> None:
    lines = Lines(io.StringIO("\ufeff\n  \na\n"))

    assert lines.peek() == "a\n"
    assert list(lines) == ["\n", "  \n", "a\n"]


def test_looking_ahead_gives_up_after_many_blank_lines() -> None:
    lines = Lines(io.StringIO("\n" * 200 + "a\n"))

    assert lines.peek() == ""
    assert list(lines) == ["\n"] * 200 + ["a\n"]


def test_overlong_line_is_skipped_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LINE", 8)
    lines = Lines(io.StringIO("short\n" + "x" * 100 + "\nlast\n"))

    assert next(lines) == "short\n"
    with pytest.raises(UnreadableLineError, match="more than 8 characters and was skipped"):
        next(lines)
    assert list(lines) == ["last\n"]


def test_overlong_first_line_is_reported_when_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LONGEST_LINE", 8)
    lines = Lines(io.StringIO("x" * 100 + "\nlast\n"))

    assert lines.peek() == ""
    with pytest.raises(UnreadableLineError):
        next(lines)
    assert list(lines) == ["last\n"]


def test_a_file_opened_with_the_wrong_encoding_ends_where_it_breaks() -> None:
    lines = Lines(io.TextIOWrapper(io.BytesIO(b"a\n\xff\nb\n"), "ascii"))

    with pytest.raises(UnreadableLineError, match="not ascii, reading stopped"):
        list(lines)
    assert list(lines) == []
