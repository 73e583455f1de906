"""The enterprise's account: what was done with it, and tokens for it."""

from collections.abc import Mapping
from hashlib import blake2b

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.operation import JSON, Auth, Operation, ReceivedCall, Reply, success
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import Note, NoteStore
from clickpost_async.sandbox.world.clock import DAY, HOUR, Clock, utc

_NOBODYS_ADDRESS = "203.0.113.7"


@frozen(kw_only=True)
class Account:
    """The chapter of the account itself."""

    notes: NoteStore
    clock: Clock
    username: str
    password: str
    seed: int

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        audit_log, token = "/v1/audit-log-data/", "/v1/user/token/"
        return (
            Operation("account.audit_log", "GET", audit_log, self.audit_log, Auth.KEY),
            Operation("account.token", "POST", token, self.token, Auth.NONE),
        )

    async def audit_log(self, call: ReceivedCall) -> Reply:
        """List what was done within the hour that begins at a moment, the newest first."""
        start = params.epoch(call, "log_epoch_time")
        # The hour's last microsecond, since the next hour begins with its own.
        entries = self.notes.between(notes.AUDIT, start, start + HOUR - 1e-6)
        return success([self._row(entry) for entry in reversed(entries)], message="Success")

    async def token(self, call: ReceivedCall) -> Reply:
        """Return a token for a user of the dashboard, or a response without a message."""
        login = call.payload
        if login != {"username": self.username, "password": self.password}:
            return Reply({}, 400)
        now = self.clock.now()
        self.notes.add(notes.AUDIT, "", now, {"service_type": "User Login: via API"})
        noise = blake2b(f"{self.seed}/token/{now}".encode(), digest_size=8).digest()
        expires_at = utc(now + DAY).replace(" ", "T")
        return Reply({"token": str(int.from_bytes(noise)), "expires_at": expires_at})

    def _row(self, entry: Note) -> JSON:
        payload = entry.said.get("payload")
        return {
            "ip_address": _NOBODYS_ADDRESS,
            "service_type": entry.said["service_type"],
            "log_uuid": f"{entry.id:08x}-0000-4000-8000-000000000000",
            "username": self.username,
            "user_email": f"{self.username}@example.com",
            "payload": _printed(payload) if isinstance(payload, Mapping) else None,
            "created_at": utc(entry.moment).replace(" ", "T"),
        }


def _printed(payload: Mapping[str, object]) -> JSON:
    # The misspelt name, and the repr of a Python dict in it, are ClickPost's own.
    return {"report_prequisite": str(dict(payload))}
