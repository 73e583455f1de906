import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.files.cells import BadCellError, CellContext, Kind, Value, read_cell, shown


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cell", ["", "  ", "\t", "\ufeff", "\xa0"])
def test_cell_without_text_is_an_absent_field(cell: str, kind: Kind) -> None:
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
        ('="560041"', Kind.CODE, "560041"),
        ('="12 ""A"" Road"', Kind.TEXT, '12 "A" Road'),
        ('=""', Kind.TEXT, None),
        ("10", Kind.NUMBER, 10),
        (".5", Kind.NUMBER, 0.5),
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
def test_cell_becomes_its_value(cell: str, kind: Kind, value: Value | None) -> None:
    found = read_cell(cell, kind)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("cell", ["9.19877E+11", "9E+11", "'9.2e+11"])
def test_shortened_number_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match="digits are lost; format the column as text"):
        read_cell(cell, Kind.CODE)


@pytest.mark.parametrize(
    "cell",
    ["1,50", "$99", "1.2 kg", "nan", "inf", "1_000", "0x10", "1e999", "٣", "1.2.3", "9" * 5000],
)
def test_number_that_has_no_single_meaning_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError):
        read_cell(cell, Kind.NUMBER)


@pytest.mark.parametrize("cell", ["1.5", "Delhivery", "1,00"])
def test_whole_number_with_a_fraction_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match="a whole number is needed"):
        read_cell(cell, Kind.WHOLE)


def test_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(BadCellError, match="true or false is needed"):
        read_cell("maybe", Kind.FLAG)


def test_nul_character_is_refused() -> None:
    with pytest.raises(BadCellError, match=r"U\+0000"):
        read_cell("a\x00b", Kind.TEXT)


@given(cell=st.text(), kind=st.sampled_from(Kind))
def test_cell_with_any_text_is_read_or_refused(cell: str, kind: Kind) -> None:
    try:
        value = read_cell(cell, kind)
    except BadCellError:
        return
    assert value != ""


@given(st.integers(-(10**15), 10**15))
def test_whole_number_is_read_as_written(number: int) -> None:
    assert read_cell(str(number), Kind.NUMBER) == number


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 4)))
def test_decimal_number_is_read_as_written(number: float) -> None:
    assert read_cell(f"{number:.4f}", Kind.NUMBER) == number


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("#REF!", Kind.TEXT),
        ("#N/A", Kind.CODE),
        ("#DIV/0!", Kind.NUMBER),
        ("#NAME?", Kind.TEXT),
        ("Err:508", Kind.TEXT),
        ("nan", Kind.TEXT),
        ("NULL", Kind.STATE),
        ("None", Kind.CODE),
        ("N/A", Kind.PHONE),
        ("NA", Kind.TEXT),
        ("-", Kind.TEXT),
        ("---", Kind.EMAIL),
        ("???", Kind.TEXT),
        ("??", Kind.TEXT),
        ("12, ????? ?????", Kind.TEXT),
        ("Asha ???", Kind.TEXT),
        ("K\ufffdln", Kind.TEXT),
        ("a\x1b]0;title\x07", Kind.TEXT),
        ("a\x85b", Kind.CODE),
    ],
)
def test_cell_with_a_damaged_value_is_refused(cell: str, kind: Kind) -> None:
    with pytest.raises(BadCellError) as refused:
        read_cell(cell, kind)

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("NA", Kind.COUNTRY),
        ("NA", Kind.STATE),
        ("#12", Kind.TEXT),
        ("Where? There!", Kind.TEXT),
        ("Is it?", Kind.TEXT),
        ("Hill Road\r\nPune", Kind.TEXT),
        ("a-b", Kind.TEXT),
    ],
)
def test_cell_that_only_resembles_damage_is_read(cell: str, kind: Kind) -> None:
    assert read_cell(cell, kind) == cell


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,499", 1499),
        ("1,499.00", 1499),
        ("1,00,000.50", 100000.5),
        ("12,34,567", 1234567),
        ("1,234,567", 1234567),
        ("1.499,00", 1499),
        ("1.234.567", 1234567),
        ("₹ 1,499", 1499),
        ("Rs. 99.50", 99.5),
        ("INR 99", 99),
        ("1499/-", 1499),
    ],
)
def test_number_with_one_meaning_is_normalised_with_a_note(cell: str, value: float) -> None:
    context = CellContext()

    assert read_cell(cell, Kind.NUMBER, context) == value
    assert [note.startswith(f"{cell} read as ") for note in context.notes] == [True]


@pytest.mark.parametrize(
    ("cell", "value"), [("1,50", 1.5), ("0,5", 0.5), ("0.500", 0.5), ("1.50", 1.5)]
)
def test_number_of_a_file_with_decimal_commas_is_read(cell: str, value: float) -> None:
    assert read_cell(cell, Kind.NUMBER, CellContext(decimal_comma=True)) == value


@pytest.mark.parametrize("cell", ["1,499", "1.499"])
def test_number_that_could_be_two_in_a_file_with_decimal_commas_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match=r"could be 1\.499 or 1499"):
        read_cell(cell, Kind.NUMBER, CellContext(decimal_comma=True))


@pytest.mark.parametrize(
    ("cell", "kind", "warning"),
    [
        ("0.5", Kind.WEIGHT, "very light"),
        ("NOTAGSTIN", Kind.GSTIN, "GSTIN"),
        ("asha.example.com", Kind.EMAIL, "e-mail"),
        ("6109.00", Kind.CODE, "6109.00 read as 6109"),
        ("=1+1", Kind.TEXT, "formula"),
        ("2126-11-27", Kind.DATE, "far from today"),
        ("2020-11-28T11:00:00", Kind.TIME, "far from today"),
    ],
)
def test_cell_that_is_likely_wrong_has_a_warning(cell: str, kind: Kind, warning: str) -> None:
    context = CellContext(today=dt.date(2026, 11, 27))

    assert read_cell(cell, kind, context) is not None
    assert [warning in found for found in context.warnings] == [True]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("500", Kind.WEIGHT),
        ("29ABCDE1234F1Z5", Kind.GSTIN),
        ("asha@example.com", Kind.EMAIL),
        ("6109", Kind.CODE),
        ("2026-11-28", Kind.DATE),
        ("2026-11-28T11:00:00Z", Kind.TIME),
    ],
)
def test_cell_that_is_likely_right_has_no_warning(cell: str, kind: Kind) -> None:
    context = CellContext(today=dt.date(2026, 11, 27))

    assert read_cell(cell, kind, context) is not None
    assert (context.warnings, context.notes) == ([], [])


def test_shown_text_is_short_and_harmless_to_a_terminal() -> None:
    assert shown("a\x1b[31m\nb") == "a\ufffd[31m b"
    assert len(shown("x" * 1000)) == 61
