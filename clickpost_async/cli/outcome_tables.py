"""What a bulk command writes of the outcomes: its results and errors files, and messages."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clickpost_async.bulk import OrderOutcome, OrderRow, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.results import ErrorsFile, ResultsFile
from clickpost_async.cli.messages import (
    MAX_SHOWN,
    end_with_usage_error,
    name_options,
    print_message,
)


class OutcomeTables:
    """The results and errors files of a run, and the first orders without a waybill to print."""

    def __init__(
        self, stack: ExitStack, results: Path | None = None, errors: Path | None = None
    ) -> None:
        self._failures: dict[str, list[str]] = {"rejected": [], "unknown": [], "pending": []}
        self._counts: Counter[str] = Counter()
        self._errors_path = errors
        self.unwritten: OSError | None = None
        self._results: ResultsFile | None = None
        self._errors: ErrorsFile | None = None
        if results is not None:
            with _usage_errors(results):
                self._results = stack.enter_context(ResultsFile(results))
        if errors is not None:
            with _usage_errors(errors):
                self._errors = stack.enter_context(ErrorsFile(errors))

    def begin(self, header: Sequence[str]) -> None:
        """Store the column names of the input."""
        if self._errors is not None:
            self._errors.header = header

    def add(self, outcome: OrderOutcome, row: OrderRow | None) -> None:
        """Write an outcome to the results file and, without a waybill, to the errors file.

        Once that has failed, `unwritten` is the error, and nothing more is written.
        """
        if self.unwritten is None:
            try:
                self._write(outcome, row)
            except OSError as error:
                self.unwritten = error
        if isinstance(outcome, Placed):
            return
        state = type(outcome).__name__.lower()
        self._counts[state] += 1
        if len(self._failures[state]) < MAX_SHOWN:
            self._failures[state].append(f"{state}: {_describe(outcome)}")

    def _write(self, outcome: OrderOutcome, row: OrderRow | None) -> None:
        if self._results is not None:
            self._results.add(outcome)
        if self._errors is not None and not isinstance(outcome, Placed):
            self._errors.add(outcome, row)

    def print_failures(self, *, has_input: bool, is_complete: bool) -> None:
        """Print the first orders without a waybill and why, and the file that lists all.

        Pending orders of a run that ended early are not listed: most were not sent yet.
        """
        if not is_complete:
            del self._failures["pending"]
        for state, lines in self._failures.items():
            for line in lines:
                print_message(line)
            if more := self._counts[state] - len(lines):
                is_listed = not has_input or self._errors_path is not None
                advice = "" if is_listed else "; --errors FILE lists all"
                print_message(f"{more} more {state}{advice}")
        if self._errors_path is not None and self._counts:
            print_message(f"all orders without a waybill, with their rows: {self._errors_path}")


def _describe(outcome: Rejected | Unknown | Pending) -> str:
    match outcome:
        case Rejected(reasons=(first, *others)):
            more = f" (and {len(others)} more)" if others else ""
            reason = name_options(first) + more
        case Rejected():
            reason = "rejected"
        case Unknown(error=error) | Pending(error=error) if error is not None:
            reason = f"{error}: {error.advice}"
        case _:
            reason = "ClickPost has not finished it: run again later"
    if reason.startswith("row "):
        return reason
    place = f"row {outcome.row}, " if outcome.row is not None else ""
    return f"{place}{outcome.reference_number}: {reason}"


def describe_unwritten(error: OSError) -> str:
    """Return what to do about a results or errors file that cannot be written."""
    return f"{error.filename} cannot be written: {error.strerror}"


@contextmanager
def _usage_errors(path: Path) -> Generator[None]:
    """Exit with what is wrong with a file that cannot be written."""
    try:
        yield
    except OSError as error:
        end_with_usage_error(f"{path}: {error.strerror}")
    except ImportError as error:
        end_with_usage_error(error)
