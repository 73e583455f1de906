"""The enterprise's account: its audit log, and tokens for it."""

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, Reply, SandboxRequest
from clickpost_async.sandbox.state import AUDIT, SandboxState
from clickpost_async.sandbox.store.records import Note
from clickpost_async.sandbox.world.clock import DAY, HOUR, utc

_PLACEHOLDER_ADDRESS = "203.0.113.7"


@Operation("account.audit_log", message="Success")
def audit_log(state: SandboxState, call: SandboxRequest) -> list[JSON]:
    """List the entries of the hour that begins at a moment, the newest first."""
    start = params.epoch(call, "log_epoch_time")
    # To the hour's last microsecond, since the next hour begins with its own.
    entries = state.store.notes(AUDIT, start, start + HOUR - 1e-6)
    return [_row(state, entry) for entry in reversed(entries)]


@Operation("account.token")
def token(state: SandboxState, call: SandboxRequest) -> Reply:
    """Return a token for a user of the dashboard, or a response without a message."""
    if call.payload != {"username": state.username, "password": state.password}:
        return Reply({}, 400)
    state.audit("User Login: via API")
    token = str(int.from_bytes(state.noise(f"token/{state.now()}", 8)))
    expires_at = utc(state.now() + DAY).replace(" ", "T")
    return Reply({"token": token, "expires_at": expires_at})


def _row(state: SandboxState, entry: Note) -> JSON:
    payload = entry.content["payload"]
    return {
        "ip_address": _PLACEHOLDER_ADDRESS,
        "service_type": entry.content["service_type"],
        "log_uuid": f"{entry.id:08x}-0000-4000-8000-000000000000",
        "username": state.username,
        "user_email": f"{state.username}@example.com",
        # The misspelt name, and the repr of a Python dict in it, are ClickPost's own.
        "payload": None if payload is None else {"report_prequisite": str(payload)},
        "created_at": utc(entry.moment).replace(" ", "T"),
    }
