import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.files.cells import BadCellError, Kind, Value, read_cell


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cell", ["", "  ", "\t", "\ufeff", "\xa0"])
def test_an_empty_cell_is_an_absent_field(cell: str, kind: Kind) -> None:
    assert read_cell(cell, kind) is None


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("110001", Kind.CODE, "110001"),
        ("110001.0", Kind.CODE, "110001"),
        ("'110001", Kind.CODE, "110001"),
        ("'0110001.00", Kind.CODE, "0110001"),
        (" 9000000001\xa0", Kind.CODE, "9000000001"),
        ("\ufeff9000000001", Kind.CODE, "9000000001"),
        ("'+971500000100", Kind.CODE, "+971500000100"),
        ("SW1A 1AA", Kind.CODE, "SW1A 1AA"),
        ("1.0.0", Kind.CODE, "1.0.0"),
        ("A1.0", Kind.CODE, "A1.0"),
        ("'", Kind.CODE, None),
        ("'=HYPERLINK(1)", Kind.TEXT, "=HYPERLINK(1)"),
        ("'@home", Kind.TEXT, "@home"),
        ("''tis the season", Kind.TEXT, "'tis the season"),
        ("'tis the season", Kind.TEXT, "'tis the season"),
        ("42.0", Kind.TEXT, "42.0"),
        ("12E+5", Kind.TEXT, "12E+5"),
        ("10", Kind.NUMBER, 10),
        ("10.5", Kind.NUMBER, 10.5),
        ("10.0", Kind.NUMBER, 10),
        ("-3", Kind.NUMBER, -3),
        ("'7", Kind.NUMBER, 7),
        ("1E+03", Kind.NUMBER, 1000),
        ("12345678901234567", Kind.NUMBER, 12345678901234567),
        ("4", Kind.WHOLE, 4),
        ("4.0", Kind.WHOLE, 4),
        ("true", Kind.FLAG, True),
        ("YES", Kind.FLAG, True),
        ("1", Kind.FLAG, True),
        ("1.0", Kind.FLAG, True),
        ("FALSE", Kind.FLAG, False),
        ("no", Kind.FLAG, False),
        ("0", Kind.FLAG, False),
        ("BRAND, COLOR|IMAGES,", Kind.LIST, ["BRAND", "COLOR", "IMAGES"]),
        (",", Kind.LIST, None),
    ],
)
def test_a_cell_becomes_the_value_it_stands_for(cell: str, kind: Kind, value: Value | None) -> None:
    found = read_cell(cell, kind)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("cell", ["9.19877E+11", "9E+11", "'9.2e+11"])
def test_a_shortened_phone_is_refused_because_its_digits_are_lost(cell: str) -> None:
    with pytest.raises(BadCellError, match="digits are lost; format the column as text"):
        read_cell(cell, Kind.CODE)


@pytest.mark.parametrize(
    "cell",
    ["1,299", "₹99", "1.2 kg", "nan", "inf", "1_000", "0x10", "1e999", "٣", "1.2.3", "9" * 5000],
)
def test_what_is_not_a_plain_number_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError):
        read_cell(cell, Kind.NUMBER)


@pytest.mark.parametrize("cell", ["1.5", "Delhivery", "1,000"])
def test_a_whole_number_has_no_fraction(cell: str) -> None:
    with pytest.raises(BadCellError, match="a whole number is needed"):
        read_cell(cell, Kind.WHOLE)


def test_a_flag_is_true_or_false() -> None:
    with pytest.raises(BadCellError, match="true or false is needed"):
        read_cell("maybe", Kind.FLAG)


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(BadCellError, match="NUL"):
        read_cell("a\x00b", Kind.TEXT)


@given(cell=st.text(), kind=st.sampled_from(Kind))
def test_any_text_is_a_value_or_a_bad_cell(cell: str, kind: Kind) -> None:
    try:
        value = read_cell(cell, kind)
    except BadCellError:
        return
    assert value != ""


@given(st.integers(-(10**15), 10**15))
def test_whole_numbers_survive_being_written(number: int) -> None:
    assert read_cell(str(number), Kind.NUMBER) == number


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 4)))
def test_decimal_numbers_survive_being_written(number: float) -> None:
    assert read_cell(f"{number:.4f}", Kind.NUMBER) == number
