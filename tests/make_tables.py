"""Writes the documentation's tables of operations and of codes, which are made of the code's own.

Run it after adding one: `python -m tests.make_tables`. Each stands between two marks of its name.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum, IntEnum
from pathlib import Path

from clickpost_async._codec.response import _UNRECOGNISED, BY_STATUS
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import Outcome
from clickpost_async.sandbox import Fault
from clickpost_async.sandbox.commands import COMMANDS, Command
from clickpost_async.structures import (
    Bucket,
    NdrCode,
    NotificationEvent,
    RequestModel,
    TrackingCode,
)
from clickpost_async.structures._rules import severity_of, source_of
from clickpost_async.structures._schema import FieldSpec, member_kind, specs

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

# The meaning of ClickPost's error codes.
_REFUSALS: Mapping[int, str] = {
    301: "the key is wrong, missing or inactive",
    302: "the courier partner id is missing or unknown",
    303: "the waybill is already registered",
    304: "already registered for this service",
    305: "a webhook is already registered",
    306: "the account has no such service",
    307: "`order_type` has an unknown value",
    308: "`priority` has an unknown value",
    309: "`delivery_type` has an unknown value",
    310: "a reverse pickup needs `rvp_reason`, up to 500 characters",
    311: "the courier does not offer reverse pickups",
    312: "there are no items",
    313: "an item is invalid, or a field of it is missing",
    314: "the order is invalid; the message names the field",
    315: "`cod_value` does not fit `order_type`",
    316: "the account has no credentials for the courier",
    319: "rejected by the courier; the message is the courier's",
    320: "the account has no such service",
    321: "no order with this waybill or reference number",
    322: "the courier's server failed",
    324: "the courier's credentials are wrong",
    325: "the status cannot be set",
    326: "the tracking id is invalid",
    327: "no webhook is registered",
    328: "a mandatory field is missing",
    329: "the courier did not respond in time",
    330: "no such waybill, or no pre-allocated waybills are left",
    350: "the courier did not cancel the order",
    351: "there is no such account for this courier",
    352: "several accounts have this name",
    353: "the account is inactive",
    354: "ClickPost does not recognise the courier's response",
    355: "this courier needs `vendor_code`",
    400: "a bad request; the message says why",
    401: "not authorised",
    403: "forbidden",
    404: "not found, such as a pincode",
    420: "a B2B order was later rejected by the courier",
    422: "the named object does not exist",
    500: "internal server error at ClickPost",
    502: "bad gateway",
    503: "ClickPost is overloaded",
    504: "gateway timeout",
}


def operations() -> str:
    """Return a row for each declaration."""
    rows = ["| `clickpost.` | ClickPost's endpoint | idempotency |", "| --- | --- | --- |"]
    for name, endpoint in sorted(CATALOG.items()):
        path = f"{endpoint.method} {endpoint.path}"
        rows.append(f"| `{name}` | `{path}` | {endpoint.idempotency.value} |")
    return "\n".join(rows) + "\n"


def refusals() -> str:
    """Return a row for each code that raises."""
    rows = ["| `status` | meaning | raised | outcome |", "| ---: | --- | --- | --- |"]
    for code, kind in sorted(BY_STATUS.items()):
        outcome = Outcome.UNKNOWN if code in _UNRECOGNISED else kind.outcome
        rows.append(f"| {code} | {_REFUSALS[code]} | `{kind.__name__}` | {outcome.value} |")
    return "\n".join(rows) + "\n"


def rules() -> str:
    """Return a table of rules for each structure that is sent."""
    return "\n".join(
        f"## {kind.__name__}\n\n| rule | field | mistake or warning | source |\n"
        "| --- | --- | --- | --- |\n" + "".join(f"{row}\n" for row in _rules_of(kind))
        for kind in _request_models()
        if _rules_of(kind)
    )


def _request_models() -> list[type[RequestModel]]:
    """Return the structures that endpoints take, each followed by its parts."""
    found: list[type[RequestModel]] = []

    def collect(kind: object) -> None:
        inner = member_kind(kind) or kind
        if isinstance(inner, type) and issubclass(inner, RequestModel) and inner not in found:
            found.append(inner)
            for spec in specs(inner):
                collect(spec.kind)

    for _, endpoint in sorted(CATALOG.items()):
        collect(endpoint.takes)
    return found


def _rules_of(kind: type[RequestModel]) -> list[str]:
    rows = [row for spec in specs(kind) for row in _rules_of_field(spec)]
    for rule in kind.rules:
        path = getattr(rule, "path", "") or "the whole"
        rows.append(_rule_row(getattr(rule, "text", ""), path, rule))
    return rows


def _rules_of_field(spec: FieldSpec) -> list[str]:
    rows = []
    if spec.required:
        rows.append(f"| given | `{spec.wire}` | mistake | {spec.source} |")
    if isinstance(spec.kind, type) and issubclass(spec.kind, Enum):
        values = ", ".join(str(member.value) for member in spec.kind)
        rows.append(f"| one of {values} | `{spec.wire}` | mistake | {spec.source} |")
    return rows + [_rule_row(getattr(rule, "text", ""), spec.wire, rule) for rule in spec.rules]


def _rule_row(text: str, path: str, rule: object) -> str:
    return f"| {text} | `{path}` | {severity_of(rule).value} | {source_of(rule)} |"


def tracking() -> str:
    """Return a row for each state of a parcel."""
    return _members("code", TrackingCode)


def buckets() -> str:
    """Return a row for each group of states."""
    return _members("bucket", Bucket)


def ndr() -> str:
    """Return a row for each reason of a failed delivery."""
    return _members("code", NdrCode)


def notifications() -> str:
    """Return a row for each event that a push may be selected for."""
    return _members("event", NotificationEvent)


def _members(what: str, kind: type[IntEnum]) -> str:
    rows = [f"| {what} | `{kind.__name__}.` |", "| ---: | --- |"]
    rows += [f"| {member.value} | `{member.name}` |" for member in kind]
    return "\n".join(rows) + "\n"


def faults() -> str:
    """Return a row for each fault that the sandbox injects."""
    rows = ["| fault | order placed | what the client sees |", "| --- | --- | --- |"]
    rows += [
        f"| `{fault}` | {'yes' if fault.books else 'no'} | {fault.effect} |" for fault in Fault
    ]
    return "\n".join(rows) + "\n"


def control() -> str:
    """Return a row for each call of the sandbox's control API."""
    rows = ["| request | body | what it does |", "| --- | --- | --- |"]
    rows += map(_command_row, COMMANDS)
    return "\n".join(rows) + "\n"


def _command_row(command: Command) -> str:
    path = re.sub(r"{(\w+)(:path)?}", lambda found: found[1].upper(), command.path)
    queried = [f"{name}=…" for name in command.parameters if f"{{{name}" not in command.path]
    query = "?" + "&".join(reversed(queried)) if queried and command.method == "GET" else ""
    example = f" `{command.example}` " if command.example else " "
    text = (command.call.__doc__ or "").partition("\n")[0].partition("; raises")[0].rstrip(".")
    return f"| `{command.method} /control{path}{query}` |{example}| {text} |"


TABLES: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "operations": (REFERENCE / "operations.md", operations),
    "refusals": (REFERENCE / "codes.md", refusals),
    "rules": (REFERENCE / "rules.md", rules),
    "tracking": (REFERENCE / "codes.md", tracking),
    "buckets": (REFERENCE / "codes.md", buckets),
    "ndr": (REFERENCE / "codes.md", ndr),
    "notifications": (REFERENCE / "codes.md", notifications),
    "faults": (REFERENCE / "sandbox.md", faults),
    "control": (REFERENCE / "sandbox.md", control),
}


def written(name: str, page: str) -> str:
    """Return a page with one of its tables as it has to be."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    between = re.compile(f"(?<={begin}).*?(?={end})", re.DOTALL)
    return between.sub(lambda _: f"\n{TABLES[name][1]()}\n", page)


if __name__ == "__main__":
    for name, (path, _) in TABLES.items():
        path.write_text(written(name, path.read_text(encoding="utf-8")), encoding="utf-8")
