"""The sandbox's other records, by kind and time: feedback, returns, reports, audit entries."""

import json
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.store.database import Database

FEEDBACK = "feedback"
RETURN = "return"
REPORT = "report"
AUDIT = "audit"
PICKUP = "pickup"

_TABLES = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    moment REAL NOT NULL,
    said TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_by_time ON notes (kind, moment);
CREATE INDEX IF NOT EXISTS notes_by_subject ON notes (kind, about);
"""


@frozen(kw_only=True)
class Note:
    """One record: `about` is the waybill or number it is looked up by."""

    id: int
    kind: str
    about: str
    moment: float
    said: dict[str, Any] = field(converter=json.loads)


class NoteStore:
    """All notes."""

    def __init__(self, store: Database) -> None:
        store.add_tables(_TABLES)
        self._store = store

    def add(self, kind: str, about: str, moment: float, said: JSON) -> Note:
        """Add a record; its id is unique among all kinds."""
        text = json.dumps(said)
        number = self._store.run(
            "INSERT INTO notes (kind, about, moment, said) VALUES (?, ?, ?, ?)",
            kind,
            about,
            moment,
            text,
        )
        return Note(id=number, kind=kind, about=about, moment=moment, said=text)

    def between(self, kind: str, start: float, end: float) -> Sequence[Note]:
        """Return the notes of a window, both ends included, the oldest first."""
        return self._found("moment BETWEEN ? AND ?", kind, start, end)

    def about(self, kind: str, about: str) -> Sequence[Note]:
        """Return the notes about something, the oldest first."""
        return self._found("about = ?", kind, about)

    def numbered(self, kind: str, number: int) -> Note | None:
        """Return the note with that number, if it is of that kind."""
        found = self._found("id = ?", kind, number)
        return found[0] if found else None

    def rewrite(self, note: Note, **said: object) -> None:
        """Update some values of a note, and keep the others."""
        self._store.run(
            "UPDATE notes SET said = ? WHERE id = ?", json.dumps({**note.said, **said}), note.id
        )

    def _found(self, condition: str, kind: str, *values: object) -> Sequence[Note]:
        rows = self._store.rows(
            f"SELECT * FROM notes WHERE kind = ? AND {condition}"  # noqa: S608 - constants only
            " ORDER BY moment, id",
            kind,
            *values,
        )
        return [Note(**row) for row in rows]
