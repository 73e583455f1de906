"""Redacts personal data in requests and responses, or replaces them by placeholders."""

import re
from collections.abc import Callable, Mapping
from functools import cache

from clickpost_async._codec.redaction import personal_names
from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON

_SECRETS = frozenset({"key", "username", "user_name", "password", "token", "security_key"})
_NAMES_OF_THINGS = (
    *("courier_name", "cp_name", "report_name", "channel_name", "product_name"),
    *("account_type__account_name", "account_type__courier_partner__name"),
)

PLACEHOLDER_CREDENTIALS = {"key": "not-a-real-key", "username": "acme", "user_name": "acme"}
PLACEHOLDER_PERSON: Mapping[str, str] = {
    "name": "Asha Tester",
    "phone": "9000000001",
    "email": "asha@example.com",
    "address": "7 Lake View",
    "comment": "call me",
    "other": "0000",
}

_KINDS = (
    ("phone", re.compile(r"phone|mobile")),
    ("email", re.compile(r"e_?mail")),
    ("address", re.compile(r"address(?!_type)|landmark|latitude|longitude|^lat$|^long$")),
    ("name", re.compile(r"(?:^|_)name$")),
    ("comment", re.compile(r"comment")),
)


def redact(value: object) -> object:
    """Return JSON with personal data and secrets redacted."""
    return _changed(value, cover, lambda _: "•••")


def replaced(value: object) -> object:
    """Return JSON with placeholder data, which still pass every validation."""
    return _changed(
        value,
        lambda kind, _: PLACEHOLDER_PERSON[kind],
        lambda name: PLACEHOLDER_CREDENTIALS.get(name, f"not-a-real-{name}"),
    )


def cover(kind: str, text: str) -> str:
    """Return a redacted name, phone, e-mail or address."""
    text = text.strip()
    if not text:
        return ""
    if kind == "phone":
        return f"••••••{text[-2:]}"
    if kind == "name":
        return " ".join(f"{word[0]}••••" for word in text.split())
    return "•••••••"


def _changed(
    value: object, person: Callable[[str, str], str], secret: Callable[[str], str], name: str = ""
) -> object:
    """Return JSON with what is personal or secret by its name replaced, in lists as well."""
    if isinstance(value, Mapping):
        return {name: _changed(part, person, secret, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_changed(part, person, secret, name) for part in value]
    if value is None or value == "":
        return value
    plain = name.lower()
    if plain in _SECRETS:
        return secret(plain)
    kind = _kind(plain)
    # A number with a name like `value` is an amount.
    if kind is None or isinstance(value, bool) or (kind == "other" and not isinstance(value, str)):
        return value
    return person(kind, str(value))


def _kind(name: str) -> str | None:
    if name in _NAMES_OF_THINGS:
        return None
    kind = next((kind for kind, pattern in _KINDS if pattern.search(name)), None)
    return "other" if kind is None and name in _personal() else kind


@cache
def _personal() -> frozenset[str]:
    """Return the names that the client's structures mark as personal."""
    return frozenset().union(*(personal_names(endpoint.takes) for endpoint in CATALOG.values()))


def people_in(payload: JSON) -> Mapping[str, Mapping[str, str]]:
    """Return an order's sender and recipient, v3 or v4: name, phone, e-mail, address of each."""
    sides = {"from": "pickup", "to": "drop", "back to": "return"}
    addresses = {role: params.address(payload, side) for role, side in sides.items()}
    return {role: _party(found) for role, found in addresses.items() if found}


def _party(address: JSON) -> Mapping[str, str]:
    place = ("city", "state", "pincode", "postal_code", "country", "country_code")
    values = (address.get(name) for name in place)
    return {
        **{name: str(address.get(name) or "") for name in ("name", "phone", "email", "address")},
        "place": ", ".join(str(value) for value in values if value),
    }
