"""Endpoint declarations validate themselves."""

import attrs
import pytest

from clickpost_async import Auth, Get, Host, Idempotency, InvalidRequestError, Post
from clickpost_async._codec.envelope import result_of, whole_body
from clickpost_async.structures import IndiaOrder, ResponseModel


def test_declaration_has_plain_defaults() -> None:
    endpoint = Get("/v1/fetch-accounts", returns=ResponseModel, idempotency=Idempotency.SAFE)

    assert endpoint.method == "GET"
    assert endpoint.path == "/v1/fetch-accounts"
    assert endpoint.accepts == frozenset({200})
    assert endpoint.auth is Auth.USERNAME_AND_KEY
    assert endpoint.host is Host.MAIN
    assert endpoint.takes is None
    assert endpoint.extract is result_of
    assert dict(endpoint.means) == {}


def test_endpoint_declaration_keeps_its_settings() -> None:
    endpoint = Post(
        "/v1/user/token/",
        name="account.token",
        takes=IndiaOrder,
        returns=ResponseModel,
        idempotency=Idempotency.UNSAFE,
        extract=whole_body,
        accepts=[200, 202, 200],
        means={500: InvalidRequestError},
        auth=Auth.NONE,
        host=Host.TRACKING,
    )

    assert endpoint.method == "POST"
    assert endpoint.accepts == frozenset({200, 202})
    assert endpoint.means == {500: InvalidRequestError}
    assert (endpoint.auth, endpoint.host) == (Auth.NONE, Host.TRACKING)
    assert endpoint.label == "account.token"


def test_endpoint_without_a_name_is_named_by_its_path() -> None:
    endpoint = Get("/v9/own", returns=ResponseModel, idempotency=Idempotency.SAFE)

    assert endpoint.label == "GET /v9/own"


def test_repetition_has_to_be_declared() -> None:
    with pytest.raises(TypeError):
        Get("/v1/cancel-order/", returns=ResponseModel)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "path", ["", "v1/x", "https://evil.example.com/x", "/../x", "/v1/../../x", "/./x", "/v1/.."]
)
def test_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path: give it from the base URL on"):
        Get(path, returns=ResponseModel, idempotency=Idempotency.SAFE)


@pytest.mark.parametrize("path", ["/v1/x?key=1", "/v1/x#y", "/v1/a b", "/v1/x\n"])
def test_path_that_is_more_than_a_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Get(path, returns=ResponseModel, idempotency=Idempotency.SAFE)


def test_declaration_is_frozen() -> None:
    endpoint = Get("/v9/own", returns=ResponseModel, idempotency=Idempotency.SAFE)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        endpoint.name = "other"  # type: ignore[misc]
