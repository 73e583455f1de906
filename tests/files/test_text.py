import codecs
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
        ("Köln\n".encode("utf-32"), "Köln\n"),
        (codecs.BOM_UTF32_BE + "Köln\n".encode("utf-32-be"), "Köln\n"),
        ("Köln – “Zülpich”\n".encode("cp1252"), "Köln – “Zülpich”\n"),
        (b"\x81\n", "\ufffd\n"),
        ("Köln\n".encode() + "Köln\n".encode("cp1252"), "Köln\nKöln\n"),
        (b"", ""),
    ],
)
def test_file_is_read_by_the_encoding_it_is_in(content: bytes, text: str) -> None:
    assert "".join(Lines(decode(io.BufferedReader(io.BytesIO(content))))) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark_is_detected(encoding: str) -> None:
    content = "reference_number\nआशा\n".encode(encoding)

    lines = Lines(decode(io.BufferedReader(io.BytesIO(content))))

    assert list(lines) == ["reference_number\n", "आशा\n"]


@pytest.mark.parametrize(
    ("content", "is_guessed"), [("Köln\n".encode(), False), ("Köln\n".encode("cp1252"), True)]
)
def test_line_that_is_not_utf8_is_marked(content: bytes, *, is_guessed: bool) -> None:
    lines = Lines(decode(io.BufferedReader(io.BytesIO(content))))

    assert (next(lines), lines.has_guessed_encoding) == ("Köln\n", is_guessed)


def test_damaged_line_of_utf8_is_not_read_as_windows_1252() -> None:
    content = "आशा ".encode() + "राव".encode()[:-1] + b"\n"
    lines = Lines(decode(io.BufferedReader(io.BytesIO(content))))

    assert next(lines).rstrip("\ufffd\n") == "आशा रा"
    assert not lines.has_guessed_encoding


def test_first_line_can_be_looked_at_before_it_is_taken() -> None:
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
    monkeypatch.setattr(module, "_MAX_LINE_LENGTH", 8)
    lines = Lines(io.StringIO("short\n" + "x" * 100 + "\nlast\n"))

    assert next(lines) == "short\n"
    with pytest.raises(UnreadableLineError, match="more than 8 characters and was skipped"):
        next(lines)
    assert list(lines) == ["last\n"]


def test_overlong_first_line_is_reported_when_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_LINE_LENGTH", 8)
    lines = Lines(io.StringIO("x" * 100 + "\nlast\n"))

    assert lines.peek() == ""
    with pytest.raises(UnreadableLineError):
        next(lines)
    assert list(lines) == ["last\n"]


def test_file_opened_with_the_wrong_encoding_ends_where_it_breaks() -> None:
    lines = Lines(io.TextIOWrapper(io.BytesIO(b"a\n\xff\nb\n"), "ascii"))

    with pytest.raises(UnreadableLineError, match="not ascii, reading stopped"):
        list(lines)
    assert list(lines) == []
