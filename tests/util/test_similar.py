import pytest

from clickpost_async._util.similar import fold, similar


@pytest.mark.parametrize(
    "name", ["Pickup Name", " pickup-name ", "pickup__name", "_pickup_name_", "PICKUP - NAME"]
)
def test_folded_names_differ_in_words_only(name: str) -> None:
    assert fold(name) == "pickup_name"


def test_similar_returns_the_known_spelling_most_similar_first() -> None:
    known = ["Drop Name", "drop_phone", "drop_names"]
    assert similar("drop nmae", known, likeness=0.8) == ["Drop Name", "drop_names"]


def test_similar_returns_nothing_below_the_likeness() -> None:
    assert similar("colour", ["weight", "height"]) == []


def test_similar_of_an_empty_name_is_nothing() -> None:
    assert similar("", ["weight"]) == []
