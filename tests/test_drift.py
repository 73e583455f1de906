"""Recorded responses are compared with the declarations."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clickpost_async import drift
from clickpost_async.cli.main import drift as command
from clickpost_async.drift import Difference

SAMPLES = Path(__file__).parent / "samples"

PERSON = "Canary Person"
KEY = "canary-key-0000"


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / name).read_text("utf-8"))
    return {
        "operation": loaded["call"],
        "method": loaded["request"]["method"],
        "url": f"https://www.clickpost.in{loaded['request']['path']}?key={KEY}",
        **loaded["response"],
    }


CREATED = "orders/create_india--placed.json"


def differences(*entries: Any) -> list[tuple[str, str, str, int]]:
    text = "\n".join(map(json.dumps, entries))
    return [(d.operation, d.path, d.what, d.count) for d in drift.compare(drift.read(text))]


def test_declared_response_has_no_differences() -> None:
    assert differences(sample(CREATED)) == []


def add_field(body: dict[str, Any]) -> None:
    body["result"]["zone"] = PERSON


def add_object(body: dict[str, Any]) -> None:
    body["result"]["promise"] = {"by": PERSON}


def change_type(body: dict[str, Any]) -> None:
    body["result"]["waybill"] = {"number": PERSON}


def add_beside_the_result(body: dict[str, Any]) -> None:
    body["trace_id"] = KEY


def use_new_code(body: dict[str, Any]) -> None:
    body["meta"] = {"status": 777, "message": PERSON, "success": False}


def add_a_person_as_key(body: dict[str, Any]) -> None:
    body["result"][PERSON] = "1"


@pytest.mark.parametrize(
    ("call", "change", "path", "what"),
    [
        (CREATED, add_field, "zone", "new field, a string"),
        (CREATED, add_object, "promise", "new field, an object"),
        (CREATED, change_type, "waybill", "an object instead of a string"),
        (CREATED, use_new_code, "meta.status", "new code 777"),
        (CREATED, add_a_person_as_key, "*", "new field, a string"),
        (
            "couriers/pincode--found.json",
            add_beside_the_result,
            "trace_id",
            "new field, a string",
        ),
    ],
)
def test_difference_is_named_with_its_path_and_without_its_value(
    call: str, change: Callable[[dict[str, Any]], None], path: str, what: str
) -> None:
    entry = sample(call)
    change(entry["body"])

    found = differences(entry, entry, sample(call))

    assert found == [(entry["operation"], path, what, 2)]
    assert PERSON not in str(found)
    assert KEY not in str(found)


def test_new_code_of_a_nested_field_is_named() -> None:
    entry = sample("tracking/track--one-known-and-one-not.json")

    assert (
        "tracking.track",
        "tracks.*.scans[].clickpost_status_code",
        "new code 1006",
        1,
    ) in differences(entry)


def test_operation_is_found_by_method_and_url() -> None:
    entry = sample(CREATED)
    entry["operation"] = None
    add_field(entry["body"])
    entry["url"] = entry["url"].replace("/api/", "/api//")

    assert differences(entry) == [("orders.create_india", "zone", "new field, a string", 1)]


def test_undeclared_operation_is_named_without_numbers_of_its_path() -> None:
    entry = {"method": "POST", "url": "https://www.clickpost.in/api/v9/x/84930219/", "body": {}}

    [(operation, *_rest)] = differences(entry)

    assert operation == "POST /api/v9/x/*/"


def in_plain_text(body: str) -> dict[str, str]:
    return {"text": body}


def in_base64(body: str) -> dict[str, str]:
    return {"text": base64.b64encode(body.encode()).decode(), "encoding": "base64"}


@pytest.mark.parametrize("content", [in_plain_text, in_base64])
def test_har_archive_is_read(content: Callable[[str], dict[str, str]]) -> None:
    entry = sample(CREATED)
    add_field(entry["body"])
    archive = {
        "log": {
            "entries": [
                {
                    "request": {"method": "post", "url": entry["url"]},
                    "response": {"status": 200, "content": content(json.dumps(entry["body"]))},
                }
            ]
        }
    }

    [found] = drift.compare(drift.read(json.dumps(archive)))

    assert found == Difference("orders.create_india", "zone", "new field, a string")


def test_webhook_is_compared_too() -> None:
    event = {"waybill": "W-1", "clickpost_status_code": 6, "zone": PERSON}

    assert differences({"operation": "webhook", "body": event}) == [
        ("webhook", "zone", "new field, a string", 1)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"operation": "webhook", "body": {}}\nnot json', "line 2 is not JSON"),
        ('{"operation": "orders.create"}', "expected an object with body"),
        ('{"body": {}}', "add operation, or method and url"),
        ('{"operation": "orders.buy", "body": {}}', "there is no operation 'orders.buy'"),
        ('{"operation": "webhook", "body": {}, "http_status": null}', "must be a number"),
        ("[1]", "entry 1 is not a recorded response"),
        ('{"log": {"entries": [{"request": {}}]}}', "entry 1 of the HAR archive has no request"),
    ],
)
def test_unreadable_file_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drift.read(text)


@pytest.mark.parametrize(("change", "code"), [(False, 0), (True, 1)])
def test_command_prints_differences_and_exits_with_1_if_there_are_any(
    change: bool, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = sample(CREATED)
    if change:
        add_field(entry["body"])
    file = tmp_path / "responses.jsonl"
    file.write_text(json.dumps(entry) + "\n", "utf-8")

    assert command(file) == code

    printed, summary = capsys.readouterr()
    assert ("zone" in printed) is change
    assert summary == f"responses: 1, differences: {code}\n"
    assert KEY not in printed


def test_command_refuses_an_unknown_kind_of_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello", "utf-8")

    assert command(file) == 2
    assert capsys.readouterr().err.startswith(f"{file}: line 1 is not JSON")
