"""Credentials are added when an attempt is sent, where each endpoint requires them."""

import json
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import Auth, Get, Idempotency, NotSentError
from clickpost_async._codec.request import encode
from clickpost_async._core.auth import Authenticator, Secret, resolve_credentials
from clickpost_async._http.adapter import BaseURL, HTTPRequest, StepTimeouts
from clickpost_async.structures import ResponseModel

KEY = Secret('k/+&= é"\\')
PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=40
).filter(lambda text: text.isprintable() and bool(text.strip()))


def signed(
    ring: Authenticator, target: str, body: bytes | None, auth: Auth, key: Secret = KEY
) -> tuple[str, bytes | None]:
    """Return what is sent in the end."""
    marked, marked_body, signature = ring.sign(target, body, auth, key)
    return HTTPRequest(
        "GET",
        BaseURL.parse("https://acme.example"),
        marked,
        marked_body,
        StepTimeouts(1, 1, 1),
        signature,
    ).signed()


def keyring(username: str = "acme & sons", key: str = "fake-key") -> Authenticator:
    return Authenticator(resolve_credentials(username, key))


@pytest.mark.parametrize("target", ["/v1/x/", "/v1/x/?awb=1"])
@pytest.mark.parametrize(
    ("auth", "names"),
    [
        (Auth.USERNAME_AND_KEY, ["username", "key"]),
        (Auth.USER_NAME_AND_KEY, ["user_name", "key"]),
        (Auth.KEY, ["key"]),
        (Auth.KEY_IN_BODY, []),
        (Auth.NONE, []),
    ],
)
def test_query_has_the_credentials_that_the_endpoint_declares(
    auth: Auth, names: list[str], target: str
) -> None:
    sent, _ = signed(keyring(), target, b"{}", auth)

    values = {"username": "acme & sons", "user_name": "acme & sons", "key": KEY.reveal()}
    asked = [("awb", "1")] if "?" in target else []
    assert parse_qsl(urlsplit(sent).query) == asked + [(name, values[name]) for name in names]
    assert sent.startswith(target)


@pytest.mark.parametrize("auth", [auth for auth in Auth if auth is not Auth.KEY_IN_BODY])
def test_body_is_left_alone_unless_the_key_belongs_in_it(auth: Auth) -> None:
    assert signed(keyring(), "/x", b'{"a":1}', auth)[1] == b'{"a":1}'


@pytest.mark.parametrize(("body", "rest"), [(b'{"a":1}', {"a": 1}), (b"{}", {}), (None, {})])
def test_key_is_the_first_field_of_a_body(body: bytes | None, rest: dict[str, int]) -> None:
    _, sent = signed(keyring(), "/x", body, Auth.KEY_IN_BODY)

    assert sent is not None
    assert list(json.loads(sent).items()) == [("key", KEY.reveal()), *rest.items()]


@given(
    PRINTABLE.filter(lambda name: name == name.strip()),
    PRINTABLE,
    st.dictionaries(PRINTABLE, PRINTABLE, max_size=3),
)
def test_no_parameter_changes_the_path_or_hides_the_key(
    username: str, key: str, query: dict[str, str]
) -> None:
    endpoint = Get("/v1/x/", returns=ResponseModel, idempotency=Idempotency.SAFE)
    request = encode(endpoint, query)
    target, _ = signed(keyring(username), request.target, None, request.auth, Secret(key))

    parts = urlsplit(target)
    assert (parts.path, parts.fragment, parts.netloc) == ("/v1/x/", "", "")
    found = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    assert found == [*query.items(), ("username", username), ("key", key)]


@pytest.mark.asyncio
async def test_rotating_key_is_read_for_each_call() -> None:
    keys = iter(["first", "second"])
    ring = Authenticator(resolve_credentials("acme", lambda: next(keys)))

    assert [(await ring.key()).reveal() for _ in range(2)] == ["first", "second"]


@pytest.mark.asyncio
async def test_key_may_be_returned_by_a_coroutine() -> None:
    async def vault() -> str:
        return "from-the-vault"

    assert (
        await Authenticator(resolve_credentials("acme", vault)).key()
    ).reveal() == "from-the-vault"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ("mounted-secret\n", "it ends with a line break: strip it"),
        (" vault-secret", "it starts with white space: strip it"),
        ("two\nlines", "it contains a line break"),
        ("with\0nul", "it must be 1 to 100 printable characters"),
        ("long" * 26, "it must be 1 to 100 printable characters"),
    ],
)
async def test_key_callable_is_held_to_the_rules_of_a_fixed_key(found: str, problem: str) -> None:
    ring = Authenticator(resolve_credentials("acme", lambda: found))
    with pytest.raises(NotSentError, match=f"the key could not be read: {problem}") as caught:
        await ring.key()

    assert found.strip() not in str(caught.value)
    assert not caught.value.transient


@pytest.mark.asyncio
@pytest.mark.parametrize("found", [None, "", 5, b"bytes"])
async def test_invalid_key_is_not_sent(found: object) -> None:
    ring = Authenticator(resolve_credentials("acme", lambda: found))  # type: ignore[arg-type,return-value]
    with pytest.raises(NotSentError, match="the key could not be read"):
        await ring.key()


@pytest.mark.parametrize(
    "key",
    ["plain-key-1", "with/slash+plus=", 'with"quote', "with\\backslash", "ключ-ключ", "a b&c"],
)
@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda key: quote(key, safe=""),
        quote,
        lambda key: quote(key, safe="").lower(),
        lambda key: json.dumps(key)[1:-1],
        lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
        lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    ],
)
def test_response_that_echoes_the_key_is_parsed_without_it(key: str, spell: object) -> None:
    echoed = spell(key)  # type: ignore[operator]
    body = f'{{"next": "?username=acme&key={echoed}&page=2"}}'.encode()

    scrubbed = keyring().redact_key(body, Secret(key))
    assert scrubbed == b'{"next": "?username=acme&key=***&page=2"}'


def test_response_without_the_key_is_unchanged() -> None:
    body = b'{"next": null}'
    assert keyring().redact_key(body, Secret("fake-key")) is body
