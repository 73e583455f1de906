import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.files.cells import BadCellError, CellContext, CellKind, Value, read_cell, shown
from clickpost_async.files.table import IS_PLAIN_CODE


@pytest.mark.parametrize("kind", CellKind)
@pytest.mark.parametrize("cell", ["", "  ", "\t", "\ufeff", "\xa0"])
def test_cell_without_text_is_an_absent_field(cell: str, kind: CellKind) -> None:
    assert read_cell(cell, kind) is None


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("110001", CellKind.CODE, "110001"),
        ("110001.0", CellKind.CODE, "110001"),
        ("'110001", CellKind.CODE, "110001"),
        ("'0110001.00", CellKind.CODE, "0110001"),
        (" 9000000001\xa0", CellKind.CODE, "9000000001"),
        ("\ufeff9000000001", CellKind.CODE, "9000000001"),
        ("'+971500000100", CellKind.CODE, "+971500000100"),
        ("SW1A 1AA", CellKind.CODE, "SW1A 1AA"),
        ("1.0.0", CellKind.CODE, "1.0.0"),
        ("A1.0", CellKind.CODE, "A1.0"),
        ("110001.0", CellKind.POSTCODE, "110001"),
        ("9876543210.0", CellKind.PHONE, "9876543210"),
        ("110001.5", CellKind.POSTCODE, "110001.5"),
        ("'", CellKind.CODE, None),
        ("'=HYPERLINK(1)", CellKind.TEXT, "=HYPERLINK(1)"),
        ("'@home", CellKind.TEXT, "@home"),
        ("''tis the season", CellKind.TEXT, "'tis the season"),
        ("'tis the season", CellKind.TEXT, "'tis the season"),
        ("42.0", CellKind.TEXT, "42.0"),
        ("12E+5", CellKind.TEXT, "12E+5"),
        ('="560041"', CellKind.CODE, "560041"),
        ('="12 ""A"" Road"', CellKind.TEXT, '12 "A" Road'),
        ('=""', CellKind.TEXT, None),
        ("10", CellKind.NUMBER, 10),
        (".5", CellKind.NUMBER, 0.5),
        ("10.5", CellKind.NUMBER, 10.5),
        ("10.0", CellKind.NUMBER, 10),
        ("-3", CellKind.NUMBER, -3),
        ("'7", CellKind.NUMBER, 7),
        ("1E+03", CellKind.NUMBER, 1000),
        ("12345678901234567", CellKind.NUMBER, 12345678901234567),
        ("4", CellKind.WHOLE, 4),
        ("4.0", CellKind.WHOLE, 4),
        ("true", CellKind.FLAG, True),
        ("YES", CellKind.FLAG, True),
        ("1", CellKind.FLAG, True),
        ("1.0", CellKind.FLAG, True),
        ("FALSE", CellKind.FLAG, False),
        ("no", CellKind.FLAG, False),
        ("0", CellKind.FLAG, False),
        ("BRAND, COLOR|IMAGES,", CellKind.LIST, ["BRAND", "COLOR", "IMAGES"]),
        (",", CellKind.LIST, None),
    ],
)
def test_cell_becomes_its_value(cell: str, kind: CellKind, value: Value | None) -> None:
    found = read_cell(cell, kind)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("cell", ["9.19877E+11", "9E+11", "'9.2e+11"])
def test_shortened_number_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match="digits are lost; format the column as text"):
        read_cell(cell, CellKind.CODE)


@pytest.mark.parametrize(
    "cell",
    ["1,50", "$99", "1.2 kg", "nan", "inf", "1_000", "0x10", "1e999", "1.2.3", "9" * 5000],
)
def test_number_that_has_no_single_meaning_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError):
        read_cell(cell, CellKind.NUMBER)


@pytest.mark.parametrize("cell", ["1.5", "Delhivery", "1,00"])
def test_whole_number_with_a_fraction_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match="a whole number is needed"):
        read_cell(cell, CellKind.WHOLE)


def test_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(BadCellError, match="true or false is needed"):
        read_cell("maybe", CellKind.FLAG)


def test_nul_character_is_refused() -> None:
    with pytest.raises(BadCellError, match=r"U\+0000"):
        read_cell("a\x00b", CellKind.TEXT)


@given(cell=st.text(), kind=st.sampled_from(CellKind))
def test_cell_with_any_text_is_read_or_refused(cell: str, kind: CellKind) -> None:
    try:
        value = read_cell(cell, kind)
    except BadCellError:
        return
    assert value != ""


@given(st.integers(-(10**15), 10**15))
def test_whole_number_is_read_as_written(number: int) -> None:
    assert read_cell(str(number), CellKind.NUMBER) == number


@given(st.floats(-1e9, 1e9).map(lambda number: round(number, 4)))
def test_decimal_number_is_read_as_written(number: float) -> None:
    assert read_cell(f"{number:.4f}", CellKind.NUMBER) == number


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("#REF!", CellKind.TEXT),
        ("#N/A", CellKind.CODE),
        ("#DIV/0!", CellKind.NUMBER),
        ("#NAME?", CellKind.TEXT),
        ("Err:508", CellKind.TEXT),
        ("nan", CellKind.TEXT),
        ("NULL", CellKind.STATE),
        ("None", CellKind.CODE),
        ("N/A", CellKind.PHONE),
        ("NA", CellKind.TEXT),
        ("-", CellKind.TEXT),
        ("\\N", CellKind.TEXT),
        ("undefined undefined", CellKind.TEXT),
        ("None, None", CellKind.TEXT),
        ("[object Object]", CellKind.TEXT),
        ("---", CellKind.EMAIL),
        ("???", CellKind.TEXT),
        ("??", CellKind.TEXT),
        ("12, ????? ?????", CellKind.TEXT),
        ("Asha ???", CellKind.TEXT),
        ("K\ufffdln", CellKind.TEXT),
        ("a\x1b]0;title\x07", CellKind.TEXT),
        ("a\x85b", CellKind.CODE),
    ],
)
def test_cell_with_a_damaged_value_is_refused(cell: str, kind: CellKind) -> None:
    with pytest.raises(BadCellError) as refused:
        read_cell(cell, kind)

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("NA", CellKind.COUNTRY),
        ("NA", CellKind.STATE),
        ("#12", CellKind.TEXT),
        ("Where? There!", CellKind.TEXT),
        ("Is it?", CellKind.TEXT),
        ("Hill Road\r\nPune", CellKind.TEXT),
        ("a-b", CellKind.TEXT),
        ("Nullah Road", CellKind.TEXT),
        ("Mr. None", CellKind.TEXT),
        ("[gate]", CellKind.TEXT),
        ("😊", CellKind.TEXT),
        ("ஆஷா", CellKind.TEXT),
    ],
)
def test_cell_that_only_resembles_damage_is_read(cell: str, kind: CellKind) -> None:
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

    assert read_cell(cell, CellKind.NUMBER, context) == value
    assert [note.startswith(f"{cell} read as ") for note in context.notes] == [True]


@pytest.mark.parametrize(
    ("cell", "value"), [("1,50", 1.5), ("0,5", 0.5), ("0.500", 0.5), ("1.50", 1.5)]
)
def test_number_of_a_file_with_decimal_commas_is_read(cell: str, value: float) -> None:
    assert read_cell(cell, CellKind.NUMBER, CellContext(decimal_comma=True)) == value


@pytest.mark.parametrize("cell", ["1,499", "1.499"])
def test_number_that_could_be_two_in_a_file_with_decimal_commas_is_refused(cell: str) -> None:
    with pytest.raises(BadCellError, match=r"could be 1\.499 or 1499"):
        read_cell(cell, CellKind.NUMBER, CellContext(decimal_comma=True))


@pytest.mark.parametrize(
    ("cell", "kind", "warning"),
    [
        ("0.5", CellKind.WEIGHT, "very light"),
        ("NOTAGSTIN", CellKind.GSTIN, "GSTIN"),
        ("asha.example.com", CellKind.EMAIL, "e-mail"),
        ("6109.00", CellKind.CODE, "6109.00 read as 6109"),
        ("Nov-26", CellKind.CODE, "looks like a date"),
        ("12-Nov", CellKind.CODE, "looks like a date"),
        ("2026-11-01", CellKind.CODE, "looks like a date"),
        ("01-11-2026", CellKind.CODE, "looks like a date"),
        ("2026-11-02T00:00:00", CellKind.TEXT, "looks like a date"),
        ("2001-02-11T00:00:00.000Z", CellKind.TEXT, "looks like a date"),
        ("02-Nov", CellKind.TEXT, "looks like a date"),
        ("Ünal, ?öför", CellKind.TEXT, "question mark"),
        ("M?ller", CellKind.TEXT, "question mark"),
        ("?500", CellKind.CODE, "question mark"),
        ("1.499", CellKind.AMOUNT, "three decimals"),
        ("12.500", CellKind.WEIGHT, "three decimals"),
        ("<asha@example.com>", CellKind.EMAIL, "e-mail"),
        ("mailto:asha@example.com", CellKind.EMAIL, "e-mail"),
        ("Hi {{ customer.name }}", CellKind.TEXT, "{{ customer.name }} of a template"),
        ("=1+1", CellKind.TEXT, "formula"),
        # As customers fill in a field that may not be empty, and ClickPost accepts.
        (".", CellKind.TEXT, "no value"),
        (", ,", CellKind.TEXT, "no value"),
        ("2126-11-27", CellKind.DATE, "far from today"),
        ("2020-11-28T11:00:00", CellKind.TIME, "far from today"),
    ],
)
def test_cell_that_is_likely_wrong_has_a_warning(cell: str, kind: CellKind, warning: str) -> None:
    context = CellContext(today=dt.date(2026, 11, 27))

    assert read_cell(cell, kind, context) is not None
    assert [warning in found for found in context.warnings] == [True]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("500", CellKind.WEIGHT),
        ("29ABCDE1234F1Z5", CellKind.GSTIN),
        ("asha@example.com", CellKind.EMAIL),
        ("6109", CellKind.CODE),
        ("403-1234567-1234567", CellKind.CODE),
        ("MARCH1", CellKind.CODE),
        ("11-26-2", CellKind.CODE),
        ("1499.50", CellKind.AMOUNT),
        ("0.125", CellKind.AMOUNT),
        ("{1499}", CellKind.TEXT),
        ("How many? 2", CellKind.TEXT),
        ("https://shop.example/?order=5", CellKind.TEXT),
        ("www.shop.example/?order=5", CellKind.TEXT),
        ("2026-11-28", CellKind.DATE),
        ("2026-11-28T11:00:00Z", CellKind.TIME),
    ],
)
def test_cell_that_is_likely_right_has_no_warning(cell: str, kind: CellKind) -> None:
    context = CellContext(today=dt.date(2026, 11, 27))

    assert read_cell(cell, kind, context) is not None
    assert (context.warnings, context.notes) == ([], [])


def test_displayed_text_is_short_and_without_control_characters() -> None:
    assert shown("a\x1b[31m\nb") == "a\ufffd[31m b"
    assert len(shown("x" * 1000)) == 61


@pytest.mark.parametrize("kind", [CellKind.COUNTRY, CellKind.STATE])
@pytest.mark.parametrize(("cell", "value"), [("'IN", "IN"), ("' KA", "KA"), ("'", None)])
def test_place_is_read_without_the_apostrophe_that_marks_text(
    kind: CellKind, cell: str, value: str | None
) -> None:
    assert read_cell(cell, kind) == value


@given(st.from_regex(r"[A-Za-z_-]{0,4}[0-9][A-Za-z0-9_-]{0,8}", fullmatch=True))
def test_plain_code_is_read_as_it_is(code: str) -> None:
    assert IS_PLAIN_CODE(code)
    assert read_cell(code, CellKind.CODE) == code


@pytest.mark.parametrize(
    "cell", ["nan", "N/A", "9.19E+11", "---", " A1", "'007", "A1.0", "", "A\u0661"]
)
def test_code_that_may_be_read_otherwise_is_not_plain(cell: str) -> None:
    assert not IS_PLAIN_CODE(cell)
