"""Messages of a server are shown without the personal data of the request."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clickpost_async import CourierError
from clickpost_async._codec.redaction import _vocabulary, redact
from clickpost_async._codec.request import encode
from clickpost_async.endpoints.orders import CREATE_INDIA
from clickpost_async.settings import BodyStyle
from clickpost_async.structures import IndiaOrder, IndiaParcel, Login, NdrAction, WorldOrder
from tests.helpers.scripted_transport import Play, api_response, playing
from tests.sandbox.samples import india_order, world_order

ORDER = india_order(
    "LOTUS/2026-77",
    drop_info__drop_name="Wilhelmina O'Canary",
    drop_info__drop_phone="90000-00012",
    drop_info__drop_address="7, Banyan Road, 2nd Cross, Pune 411001",
    drop_info__drop_landmark="Temple",
    drop_info__drop_email="wilma.canary@mail.example",
    additional__customer_id_number="ZX-4471-Q",
    additional__custom_fields=[{"key": "gift", "value": {"note": "For Ottoline, aged 70012"}}],
    additional__user_defined_field_array=[{"name": "locker", "value": 550123}],
)
BODY = json.dumps(ORDER).encode()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("drop name Wilhelmina O'Canary is too long", "drop name *** is too long"),
        ("WILHELMINA  o'canary", "***"),
        ("Wilhelmina was refused", "*** was refused"),
        ("consignee: canary", "consignee: ***"),
        ("phone 9000000012 is invalid", "phone *** is invalid"),
        ("phone +91 90000 00012 is invalid", "phone *** is invalid"),
        ("phone 0-9000-000-012", "phone ***"),
        ("phone 919000000012", "phone ***"),
        ("phone (+91)9000000012.", "phone ***."),
        ("address 7, Banyan Road, 2nd Cross is too short", "address *** is too short"),
        ("address 7 BANYAN ROAD", "address ***"),
        ("no such road: banyan road", "no such road: ***"),
        ("7_banyan_road_2nd_cross_pune", "***"),
        ("near TEMPLE", "near ***"),
        ("mail to wilma.canary@mail.example bounced", "mail to *** bounced"),
        ("wilma.canary is no address", "*** is no address"),
        ("WilhelminaOCanary", "***"),
        ("id zx4471q, ZX-4471-Q", "id ***"),
        ("{'note': 'for ottoline'} or 550123", "{'note': '***'} or ***"),
        ("Meera Reader", "Meera Reader"),
    ],
)
def test_personal_data_is_redacted(words: str, expected: str) -> None:
    assert redact(words, IndiaOrder, BODY) == expected


@pytest.mark.parametrize(
    "words",
    [
        "",
        "order LOTUS/2026-77 was placed before under 1234567890123",
        "account lotus-surface is not active",
        "411001 is not serviceable from 380009",
        "drop phone is not a phone number, drop address is too short",
        "no such order: LOTUS-77",
        "Maharashtra is not the state of Pune",
        "error 302: field drop_info.drop_name: required field missing",
        "19000000012345 is another waybill",
        "1.50 kg in 2 boxes is more than 7",
    ],
)
def test_redaction_keeps_what_support_needs(words: str) -> None:
    assert redact(words, IndiaOrder, BODY) == words


def test_code_stays_even_where_a_person_has_its_name() -> None:
    order = india_order(
        "meera-0012",
        drop_info__drop_name="Meera Lotus",
        drop_info__drop_address="lotus-surface, 411001",
    )

    words = "Meera: account lotus-surface refused meera-0012 to 411001 (Lotus)"

    assert redact(words, IndiaOrder, json.dumps(order).encode()) == (
        "***: account lotus-surface refused meera-0012 to 411001 (***)"
    )


def test_field_name_is_no_personal_data() -> None:
    order = india_order("R-1", drop_info__drop_name="Drop Name", drop_info__drop_landmark="none")

    words = "drop name: Drop Name is not a name"

    assert redact(words, IndiaOrder, json.dumps(order).encode()) == words


@pytest.mark.parametrize("style", BodyStyle)
def test_body_is_understood_as_it_is_sent(style: BodyStyle) -> None:
    sent = encode(CREATE_INDIA, body=ORDER, style=style).body

    assert redact("Wilhelmina", CREATE_INDIA.takes, sent) == "***"


def test_names_in_any_script_are_masked() -> None:
    for name in ("मीरा पाठक", "王伟", "Ωραία", "Łukasz", "אבי"):
        order = world_order("R-1", drop_info__name=name)
        for spelling in (json.dumps(order), json.dumps(order, ensure_ascii=False)):
            words = f"name «{name.upper()}» is too long"
            assert redact(words, WorldOrder, spelling.encode()) == "name «***» is too long"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Login, {"username": "wilhelmina", "password": "none"}),
        (
            NdrAction,
            {"name": "x", "address": "none", "phone_number": "none", "landmark": "wilhelmina"},
        ),
        (Sequence[IndiaParcel], [{"additional": {"custom_fields": [{"value": "Wilhelmina"}]}}]),
    ],
)
def test_every_body_that_has_persons_is_looked_through(kind: Any, body: Any) -> None:
    assert redact("no Wilhelmina here", kind, json.dumps(body).encode()) == "no *** here"


@pytest.mark.parametrize(
    ("takes", "body"),
    [
        (None, BODY),
        (IndiaOrder, None),
        (IndiaOrder, b""),
        (IndiaOrder, b"null"),
        (IndiaOrder, b"[1]"),
        (IndiaOrder, b"\xff"),
        (IndiaOrder, b'{"RAW_BODY":"no JSON"}'),
        (IndiaOrder, b'{"RAW_BODY":5}'),
        (IndiaOrder, b'{"drop_info":[],"additional":{"custom_fields":[1,null]}}'),
        (IndiaOrder, b"[" * 100_000),
        (int, b"5"),
        (dict, BODY),
    ],
)
def test_message_without_known_personal_data_is_unchanged(takes: Any, body: bytes | None) -> None:
    assert redact("Wilhelmina", takes, body) == "Wilhelmina"


WORDS = st.lists(
    st.text(st.characters(categories=["L"]), min_size=4, max_size=12), min_size=1, max_size=4
)
NOISE = st.text('.,:;-_() "', max_size=10)


@given(WORDS, NOISE, NOISE, st.sampled_from([str, str.upper, str.title]), st.sampled_from(" _-,"))
def test_name_is_masked_however_it_is_repeated(
    words: list[str], before: str, after: str, spelled: Callable[[str], str], joint: str
) -> None:
    name = " ".join(words)
    assume(all(spelled(word).casefold() == word.casefold() for word in words))
    assume(_vocabulary(IndiaOrder).isdisjoint(word.casefold() for word in words))
    body = json.dumps({"drop_info": {"drop_name": name}}).encode()

    echoed = spelled(joint.join(words))

    assert redact(f"{before} {echoed} {after}", IndiaOrder, body) == f"{before} *** {after}"


@given(st.text(max_size=80), st.binary(max_size=80) | st.just(BODY))
def test_any_text_survives_redaction(words: str, body: bytes) -> None:
    assert isinstance(redact(words, IndiaOrder, body), str)


@given(st.text('xyz .,:;-_()"%\n', max_size=60))
def test_message_without_personal_data_is_unchanged(words: str) -> None:
    assert redact(words, IndiaOrder, BODY) == words


# --- digits ---------------------------------------------------------------------------------------


def body_with(phone: str, reference_number: str = "R-1") -> bytes:
    order = india_order(reference_number, drop_info__drop_phone=phone)
    return json.dumps(order).encode()


@given(
    st.text("0123456789", min_size=7, max_size=10),
    st.text("09+(-_ )ax", max_size=6),
    st.lists(st.text("-_ ()./", max_size=2), min_size=9, max_size=9),
    st.text("09+(-_ )ax", max_size=6),
)
def test_phone_number_is_masked_wherever_a_pattern_of_it_matches(
    phone: str, before: str, gaps: Sequence[str], after: str
) -> None:
    written = "".join(map("".join, zip(phone, [*gaps, ""], strict=False)))
    words = before + written + after
    # What is not done: such a pattern stays in the cache of `re`, and the number with it.
    spaced = r"[\W_]*".join(phone)
    found = re.search(rf"(?<!\d)(?:[+(]*\d{{1,3}}[\W_]*)?{spaced}(?!\d)", words)

    masked_words = redact(words, IndiaOrder, body_with(phone))

    assert ("***" in masked_words) == (found is not None)
    if found is not None:
        assert found[0].strip("+(") not in masked_words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("phone 9000000012345 is one digit too many", "phone 9000000012345 is one digit too many"),
        ("id 12349000000012", "id 12349000000012"),
        ("id 1234 9000000012", "id 1234 ***"),
        ("9000000012", "***"),
        ("9000000012, 9000000012", "***"),
        ("9000000012 or 9000000012", "*** or ***"),
    ],
)
def test_phone_number_is_masked_as_a_whole_and_not_within_a_longer_one(
    words: str, expected: str
) -> None:
    assert redact(words, IndiaOrder, body_with("9000000012")) == expected


def test_masking_adds_no_personal_data_to_the_pattern_cache() -> None:
    # What is made once, at the first error, is there before.
    assert redact("phone 9000000000", IndiaOrder, body_with("9000000000")) == "phone ***"
    caches = (re._cache, re._cache2) if hasattr(re, "_cache2") else (re._cache,)  # type: ignore[attr-defined]
    before = [dict(cache) for cache in caches]

    for number in range(600):
        phone = f"9{number:09d}"
        words = f"order SHOP/{number} refused: phone {phone} of {phone} is odd"
        body = body_with(phone, f"SHOP/{number}")
        assert redact(words, IndiaOrder, body) == (
            f"order SHOP/{number} refused: phone *** of *** is odd"
        )

    assert [dict(cache) for cache in caches] == before


@pytest.mark.asyncio
async def test_failed_orders_leave_an_applications_patterns_in_the_cache() -> None:
    for number in range(200):
        re.match(f"application-{number}", "")
    caches = (re._cache, re._cache2) if hasattr(re, "_cache2") else (re._cache,)  # type: ignore[attr-defined]
    refusal = api_response(319, message="drop phone 9000000012 is odd", result=None)
    async with playing(Play([refusal])) as clickpost:
        with pytest.raises(CourierError, match=r"\*\*\*"):
            await clickpost.orders.create(india_order("W-1", drop_info__drop_phone="9000000012"))
        before = [dict(cache) for cache in caches]
        for number in range(100):
            order = india_order(f"R-{number}", drop_info__drop_phone="9000000012")
            with pytest.raises(CourierError):
                await clickpost.orders.create(order)

    assert [dict(cache) for cache in caches] == before
    patterns = [str(key[1]) for cache in before for key in cache]
    digits = ["".join(filter(str.isdecimal, pattern)) for pattern in patterns]
    assert not any("9000000012" in found for found in digits)
