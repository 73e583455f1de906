"""Files are recognised by their first bytes, whatever their name."""

import pytest

from clickpost_async._codec.file_types import HEAD, FileType, kind_of


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", FileType.PDF),
        (b"\r\n%PDF-1.4\n", FileType.PDF),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", FileType.PNG),
        (b"^XA^FDhello^FS^XZ", FileType.ZPL),
        (b"\xef\xbb\xbf\n ^XA^XZ", FileType.ZPL),
        (b"PK\x03\x04\x14\0", FileType.ZIP),
        (b"awb,status\r\n1,Delivered", FileType.CSV),
        (b"\xef\xbb\xbfawb\n1\n", FileType.CSV),
        ("awb,name\n1,क्‍ष\u00a0x\n".encode(), FileType.CSV),
        (("x" * (HEAD - 2) + "क").encode()[:HEAD], FileType.CSV),
    ],
)
def test_known_file_is_known(head: bytes, kind: FileType) -> None:
    assert kind_of(head) is kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b" \r\n",
        b"<!DOCTYPE html>",
        b"\n\t<html>",
        b"<?xml version='1.0'?><Error/>",
        b'{"meta": {"status": 500}}',
        b"[]",
        b"#!/bin/sh\n",
        b"MZ\x90\0\x03\0",
        b"\x7fELF\x02\x01",
        b"GIF89a\x01\0",
        b"\x1f\x8b\x08\0",
        b"a,b\n\0",
    ],
)
def test_other_values_are_not(head: bytes) -> None:
    assert kind_of(head) is None
