"""Strict JSON: anything ambiguous is not read, with orjson and without."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickpost_async._codec import json as strict_json
from clickpost_async._codec.json import read, write, write_canonical

ORDER = '{"meta":{"status":200,"message":"ठीक है"},"result":{"waybill":"W1","cod":890.5}}'


@pytest.fixture(params=["orjson", "the standard library"], scope="module", autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "orjson":
        if strict_json.orjson is None and sys.version_info >= (3, 15):
            pytest.skip("there are no wheels of orjson for Python 3.15 yet")
        assert strict_json.orjson is not None, "install clickpost_async[orjson]"
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "orjson":
            patch.setattr(strict_json, "orjson", None)
        yield


def nested(depth: int, *, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + b"1" * (closing == b"}") + closing * depth


def depth_of(body: bytes) -> int:
    value, depth = read(body), 0
    while isinstance(value, dict | list):
        depth += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return depth


def plain(value: Any) -> bytes:
    return json.dumps(value).encode()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(json_values, st.booleans(), st.none() | st.integers(0, 3))
def test_json_is_read_like_the_standard_library_reads_it(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert read(text.encode()) == json.loads(text)


@given(st.text('{}[]":,\\ud8dc0e19.-NaInfty ', max_size=40))
@example('{"a":12345678901234567890123}')
@example('{"a":-9223372036854775809,"b":18446744073709551616}')
@example('{"a":1,"b":{"c":"x:y","c":2}}')
@example('{"a" :1,"a": 2}')
@example(r'{"a":"\"","b":1,"b":"\""}')
@example(r'{"\u0061":1,"a":2}')
@example(r'{"a":1,"a":"\u0022\u0022"}')
@example('{"a":1e400}')
@example('{"a":-0,"b":-0.0,"c":1E5,"d":100000000000000000000.0}')
def test_result_of_reading_json_does_not_depend_on_the_library(text: str) -> None:
    body = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        found = repr(read(body))
        patch.setattr(strict_json, "orjson", None)

        assert repr(read(body)) == found


def test_order_is_read() -> None:
    assert read(ORDER.encode()) == json.loads(ORDER)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + ORDER.encode(),
        *(ORDER.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        '{"a":"caf\xe9"}'.encode("latin-1"),
        '{"a":"\ud83d"}'.encode("utf-8", "surrogatepass"),
        b'{"a":"\xc0\xaf"}',
    ],
)
def test_only_plain_utf_8_is_read(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "inf", "+1", "01", "1."])
def test_numbers_that_are_not_json_are_not_read(number: str) -> None:
    assert read(f'{{"a":{number}}}'.encode()) is None


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1E+309", "1" * 400 + ".0", "1.8e308", "9" * 400 + "e0"]
)
def test_number_that_would_become_infinite_is_not_read(number: str) -> None:
    assert read(f'{{"a":[{number}]}}'.encode()) is None


@pytest.mark.parametrize("number", ["1.7e308", "-0.0", "1e-400", "0e999", "890.50", "1E5"])
def test_number_that_is_finite_is_read(number: str) -> None:
    assert read(number.encode()) == float(number)


@pytest.mark.parametrize(("digits", "is_read"), [(4300, True), (4301, False), (1_000_000, False)])
def test_integer_has_as_many_digits_as_python_reads(digits: int, *, is_read: bool) -> None:
    assert (read(b'{"a":' + b"9" * digits + b"}") is not None) is is_read


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        # Without the first one it is encoded by as many bytes.
        b'{"a":1,"a":1e6}',
        b'{"a":1,"\\u0061":2}',
        b'{"meta":{"status":301,"status":200}}',
        b'[{"b":{"c":[{"a":1,"b":2,"a":3}]}}]',
        b'{"":1,"":2}',
    ],
)
def test_repeated_keys_are_not_read_at_any_depth(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    "text",
    [
        r"\ud800",
        r"\uDFFF",
        r"\udead\ud800",
        r"\ud83dx\ude00",
        r"\ud83d\n\ude00",
        r"\ud83d\\ude00",
        r"\ud83d\u0041",
        r"\ud83d\ud83d\ude00",
        r"\ud83d\ude00\ude00",
        r"\\\ud83d",
        "ठीक " + r"\ud83d",
    ],
)
def test_half_a_surrogate_pair_is_not_read_in_values_or_keys(text: str) -> None:
    assert read(f'{{"a":"{text}"}}'.encode()) is None
    assert read(f'{{"{text}":1}}'.encode()) is None


def test_halves_in_two_texts_make_no_whole() -> None:
    assert read(rb'["\ud83d","\ude00"]') is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00\ud83d\ude00", "😀😀"),
        (r"\\ud83d", "\\ud83d"),
        (r"\\\\ud83d", "\\\\ud83d"),
        (r"\\\ud83d\ude00", "\\😀"),
        (r"\"\ud83d\ude00\/", '"😀/'),
        ("ठीक " + r"\ud83d\ude00", "ठीक 😀"),
        (r"\u0920\u0940\u0915", "ठीक"),
    ],
)
def test_whole_pairs_and_escaped_backslashes_are_read(text: str, expected: str) -> None:
    assert read(f'"{text}"'.encode()) == expected


@pytest.mark.parametrize("body", [b'{"a":"\x00"}', b'{"a":1}\x00', b"\x00", b'"\n"', b'"\t"'])
def test_raw_control_characters_are_not_read(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize("body", [b"", b" ", b"<html>", b"{}{}", b"{}x", b"{'a':1}", b'{"a":1,}'])
def test_invalid_json_is_not_read(body: bytes) -> None:
    assert read(body) is None


def test_64_levels_are_read_and_65_are_not() -> None:
    assert depth_of(nested(64)) == 64
    assert read(nested(65)) is None
    assert depth_of(nested(64, opening=b'{"a":', closing=b"}")) == 64
    assert read(nested(65, opening=b'{"a":', closing=b"}")) is None
    assert read(b'{"a":1,"b":[[],{"c":' + nested(62) + b"}]}") is None
    assert read(b'{"a":1,"b":[[],{"c":' + nested(61) + b"}]}") is not None


@pytest.mark.parametrize("depth", [1_000, 49_999, 100_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")])
def test_no_depth_ends_in_an_exception(depth: int, opening: bytes, closing: bytes) -> None:
    assert read(nested(depth, opening=opening, closing=closing)) is None


def test_wide_json_is_not_deep() -> None:
    rows = [{"waybill": str(number), "scans": [{"code": number}]} for number in range(5_000)]

    assert read(plain(rows)) == rows


def test_brackets_in_texts_count_as_nothing_but_letters() -> None:
    assert read(plain("[{" * 20_000)) == "[{" * 20_000


def test_half_a_million_objects_are_not_read() -> None:
    assert read(b"[" + b"{}," * 500_000 + b"1]") is None


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_none(body: bytes) -> None:
    assert isinstance(read(body), dict | list | str | int | float | None)


@given(st.text('{}[]":,\\ud8dc0e19.-NaInfty ', max_size=40))
def test_read_json_can_be_written_again(text: str) -> None:
    value = read(text.encode())

    assert read(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) == value


@given(json_values)
@example({"long": 2**64, "longer": -(10**40)})
@example([1e16, 1.5e-7, 5e-324, 1.7976931348623157e308, -0.0])
def test_written_value_is_read_again(value: Any) -> None:
    assert repr(read(write(value))) == repr(value)


@given(json_values)
def test_json_is_written_without_spaces(value: Any) -> None:
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    assert write(value).count(b" ") == compact.count(" ")


@pytest.mark.parametrize("text", ["\ud83d", "a\udfff"])
def test_half_a_surrogate_pair_is_not_written(text: str) -> None:
    for value in (text, {text: 1}, [{"a": text}]):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            write(value)


def test_process_survives_the_deepest_bodies() -> None:
    # In a process of its own: what overflows the C stack ends it, and raises nothing.
    script = """
from clickpost_async._codec.json import read
for opening in (b"[", b'{"a":'):
    for depth in (900, 9_000, 99_000, 400_000):
        assert read(opening * depth) is None
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"alive\n")


@given(json_values)
@example([1e-5])
@example([-0.000012])
@example([9e-7])
@example([1e16])
@example([1e15, 0.0001])
@example({"b": "2e1", "a": "0.00001", "\U0001f600": 1, "\uffff": 2, "z": {"b": 2**64, "a": 0.1}})
def test_canonical_json_is_that_of_the_standard_library(value: Any) -> None:
    expected = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )

    assert write_canonical(value) == expected.encode()
