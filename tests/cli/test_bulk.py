"""Order files created by real processes at a sandbox on a real port."""

import asyncio
import csv
import json
import math
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clickpost_async import NoReplyError
from clickpost_async.bulk import Placed, create, status
from clickpost_async.bulk.records import JournalState
from clickpost_async.cli import bulk_runner
from clickpost_async.cli.label_downloads import LabelDownloads, file_name
from clickpost_async.cli.order_files import OrderFile, Part, SourceRows
from clickpost_async.sandbox import Faults, Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.helpers.command_line import run_command_line
from tests.helpers.scripted_transport import never_responds, playing
from tests.sandbox.samples import india_order

pypdf = pytest.importorskip("pypdf")

KEY = "not-a-real-key-of-the-command-line"


# So that a test need not wait as long as a courier deserves.
BRISK = ("--settle-delay", "0.5")


def serve(**settings: Any) -> Iterator[Sandbox]:
    with Sandbox(api_key=KEY, **settings) as sandbox:
        sandbox.start()
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    yield from serve()


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    yield from serve(courier_seconds=1.0)


def environ(sandbox: Sandbox, **more: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    return inherited | account | {"CLICKPOST_BASE_URL": sandbox.base_url} | more


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "clickpost_async", "bulk", *map(str, arguments)]


def bulk(
    *arguments: object, stdin: bytes = b"", environ: Mapping[str, str], seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    return run_command_line(["bulk", *map(str, arguments)], environ, stdin=stdin, seconds=seconds)


def push(
    sandbox: Sandbox, *arguments: object, stdin: bytes = b"", **more: str
) -> subprocess.CompletedProcess[str]:
    return bulk(*arguments, stdin=stdin, environ=environ(sandbox, **more))


def orders(*references: str, **changes: Any) -> str:
    return "".join(json.dumps(india_order(name, **changes)) + "\n" for name in references)


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def table(path: Path) -> list[Mapping[str, str]]:
    """Read a file of outcomes, as a spreadsheet shows it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            {name: re.sub('^="(.*)"$', r"\1", cell) for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def test_bulk_places_a_file_and_the_same_command_again_buys_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2", "B-3"))
    job = (file, "--journal", tmp_path / "run.db", "--results", tmp_path / "results.csv")

    first = push(sandbox, *job)
    bought = dict(sandbox.ledger())
    second = push(sandbox, *job)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert sandbox.ledger() == bought
    assert {
        row["reference_number"]: (row["waybill"],) for row in table(tmp_path / "results.csv")
    } == (bought)
    assert {row["known_from_journal"] for row in table(tmp_path / "results.csv")} == {"True"}
    assert KEY not in first.stdout + first.stderr
    assert KEY.encode() not in (tmp_path / "run.db").read_bytes()


def test_rejected_orders_are_in_the_errors_file_and_the_exit_code(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrong = india_order("B-2")
    wrong["drop_info"]["drop_pincode"] = "41100"
    file = saved(tmp_path / "day.jsonl", orders("B-1") + json.dumps(wrong) + "\n")

    done = push(sandbox, file, "--errors", tmp_path / "errors.csv")

    assert done.returncode == 3
    [error] = table(tmp_path / "errors.csv")
    assert (error["row"], error["reference_number"]) == ("2", "B-2")
    assert "drop_pincode" in error["reasons"]
    assert "rejected: row 2, drop_info.drop_pincode: " in done.stderr
    assert "2 rows: 1 order, 1 rejected" in done.stderr


def test_unknown_outcome_sets_the_exit_code_and_is_settled_by_resolve(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults.drop_after = 1.0
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    journal = tmp_path / "run.db"

    held = push(sandbox, file, "--journal", journal, "--no-resend", *BRISK)
    shown = push(sandbox, "status", journal)
    sandbox.faults.drop_after = 0.0
    settled = push(sandbox, "resolve", journal, *BRISK)
    after = push(sandbox, "status", journal)

    assert (held.returncode, shown.returncode, settled.returncode, after.returncode) == (4, 4, 0, 0)
    assert "unknown: row 1, B-1: orders.create_india: " in held.stderr
    assert "in doubt: no response received" in shown.stdout
    assert "bulk resolve" in shown.stdout
    assert {name: len(bought) for name, bought in sandbox.ledger().items()} == {"B-1": 1}


def test_key_that_is_refused_halts_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(300))))

    done = push(sandbox, file, CLICKPOST_API_KEY="a-wrong-key-that-is-obviously-fake")

    assert done.returncode == 5
    assert sandbox.ledger() == {}
    assert "give --journal" in done.stderr
    assert "a-wrong-key" not in done.stderr


def test_check_prints_every_mistake_and_needs_no_account(tmp_path: Path) -> None:
    wrong = india_order("B-2")
    wrong["drop_info"]["drop_pincode"] = "41100"
    wrong["pickup_info"]["pickup_phone"] = ""
    file = saved(tmp_path / "day.jsonl", orders("B-1") + json.dumps(wrong) + "\n")

    done = bulk(file, "--dry-run", environ={})

    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 2
    assert all(line.startswith("row 2, ") for line in done.stdout.splitlines())
    assert "2 rows: 1 order, 1 rejected" in done.stderr


def test_orders_may_come_from_standard_input(sandbox: Sandbox) -> None:
    done = push(sandbox, "-", stdin=orders("B-1", "B-2").encode())

    assert done.returncode == 0, done.stderr
    assert sandbox.ledger().keys() == {"B-1", "B-2"}


def test_foreign_file_is_read_with_a_map(sandbox: Sandbox, tmp_path: Path) -> None:
    order = india_order("B-1")
    fields = {
        **{f"pickup_info.{name}": value for name, value in order["pickup_info"].items()},
        **{f"drop_info.{name}": value for name, value in order["drop_info"].items()},
        **{
            f"shipment_details.{name}": value
            for name, value in order["shipment_details"].items()
            if name not in ("items", "reference_number")
        },
        **{
            f"shipment_details.items.{name}": value
            for name, value in order["shipment_details"]["items"][0].items()
        },
    }
    fixed = "".join(f'"{name}" = {json.dumps(value)}\n' for name, value in fields.items())
    columns = saved(
        tmp_path / "map.toml", f'[columns]\n"Our No" = "reference_number"\n[fixed]\n{fixed}'
    )
    file = saved(tmp_path / "day.csv", "Our No\nB-1\nB-2\n")

    done = push(sandbox, file, "--map", columns)

    assert done.returncode == 0, done.stdout + done.stderr
    assert sandbox.ledger().keys() == {"B-1", "B-2"}


def test_labels_are_downloaded_and_merged_in_the_order_of_the_file(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B/1", "B-2", "B-3"))

    done = push(sandbox, file, "--labels", tmp_path / "labels", "--merge", tmp_path / "all.pdf")

    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "labels").iterdir()} == {
        *(f"{file_name('B/1')}.pdf", "B-2.pdf", "B-3.pdf"),
    }
    texts = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "all.pdf").pages]
    bought = sandbox.ledger()
    assert [
        bought[name][0] in text for name, text in zip(("B/1", "B-2", "B-3"), texts, strict=True)
    ]


class Labels:
    """What downloads labels of a client: one that works, one that fails, one that never ends."""

    async def download(self, order: CreatedOrder, path: Path, *, overwrite: bool) -> Path:
        assert overwrite
        match order.label:
            case "works":
                path.write_bytes(b"%PDF")
                return path
            case "fails":
                raise NoReplyError("cut off")
            case _:
                await asyncio.sleep(math.inf)
                raise AssertionError


def placed(*labels: str | None) -> list[Placed]:
    return [
        Placed(position=position, reference_number=f"B-{position}", order=CreatedOrder(label=label))
        for position, label in enumerate(labels)
    ]


@virtual_time
async def test_labels_that_are_missing_are_reported_and_set_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    downloads = LabelDownloads(SimpleNamespace(labels=Labels()), tmp_path)
    for outcome in placed("works", "fails", None):
        await downloads.fetch(outcome)
    await downloads.end(None)

    printed = capsys.readouterr().err
    assert "label of B-1: cut off" in printed
    assert "1 labels were not downloaded" in printed
    assert "1 placed orders have no label" in printed
    assert downloads.is_incomplete

    downloads = LabelDownloads(SimpleNamespace(labels=Labels()), tmp_path)
    for outcome in placed("works", None):
        await downloads.fetch(outcome)
    await downloads.end(None)
    assert not downloads.is_incomplete


@virtual_time
async def test_stop_ends_the_downloads_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    downloads = LabelDownloads(SimpleNamespace(labels=Labels()), tmp_path)
    asyncio.get_running_loop().call_later(5, downloads.stop)
    began = asyncio.get_running_loop().time()

    # More than are downloaded at once, so that the last ones wait for a slot.
    for outcome in placed(*["hangs"] * 100):
        await downloads.fetch(outcome)
    await downloads.end(tmp_path / "all.pdf")

    assert asyncio.get_running_loop().time() - began == 5
    assert "100 labels were not downloaded" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_label_that_cannot_be_downloaded_sets_the_exit_code(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2"))
    folder = tmp_path / "labels"
    (folder / "B-1.pdf").mkdir(parents=True)

    done = push(sandbox, file, "--labels", folder)

    assert done.returncode == 1, done.stderr
    assert "1 labels were not downloaded" in done.stderr
    assert (folder / "B-2.pdf").is_file()


def test_labels_folder_that_is_a_file_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    done = push(sandbox, file, "--labels", file)

    assert done.returncode == 2, done.stderr
    assert f"{file}: File exists" in done.stderr
    assert sandbox.ledger() == {}


def test_merging_needs_the_labels(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    done = push(sandbox, file, "--merge", tmp_path / "all.pdf")

    assert done.returncode == 2
    assert "--labels" in done.stderr
    assert sandbox.ledger() == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file"),
        (["day.jsonl", "--map", "nowhere.toml"], "nowhere.toml: No such file"),
        (["day.jsonl", "--results", "nowhere/results.csv"], "No such file or directory"),
        (["day.jsonl", "--journal", "nowhere/run.db"], "nowhere/run.db"),
        (["status", "nowhere.db"], "nowhere.db"),
        (["resolve", "nowhere.db"], "nowhere.db"),
    ],
)
def test_unusable_input_is_named_and_nothing_is_sent(
    arguments: list[str], words: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    saved(tmp_path / "day.jsonl", orders("B-1"))
    names = [f"{tmp_path}/{name}" if "." in name else name for name in arguments]

    done = push(sandbox, *names)

    assert done.returncode not in (0, 3, 4)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert sandbox.ledger() == {}


def interrupted(
    sandbox: Sandbox, tmp_path: Path, *, times: int, by: signal.Signals = signal.SIGINT
) -> int:
    """Interrupt a run of a hundred slow orders after the first of them were placed."""
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(100))))
    journal = tmp_path / "run.db"
    with subprocess.Popen(
        command(file, "--journal", journal, "--max-concurrency", 5),
        env=environ(sandbox),
        stderr=subprocess.PIPE,
    ) as running:
        for _ in range(2000):
            # The first are placed and written down, the next are under way for a second.
            if sandbox.ledger():
                stands = status(journal)
                if stands.counts[JournalState.PLACED] == stands.in_doubt == 5:
                    break
            time.sleep(0.01)
        assert running.stderr is not None
        for number in range(times):
            running.send_signal(by)
            if number == 0:
                assert b"stopping" in running.stderr.readline()
        sys.stderr.write(running.stderr.read().decode())
    return running.returncode


# --- no server responds -------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port without a listener."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def at_closed_port(port: int) -> dict[str, str]:
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return inherited | account | {"CLICKPOST_BASE_URL": f"http://127.0.0.1:{port}/api"}


@pytest.mark.parametrize("quiet", [True, False])
def test_unreachable_host_is_reported_and_halts_the_run(
    quiet: bool, closed_port: int, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(200))))
    journal = tmp_path / "run.db"
    how = [file, "--journal", journal, "--max-outage", "1.5", *(["--quiet"] if quiet else [])]

    done = bulk(*how, environ=at_closed_port(closed_port), seconds=120)

    assert done.returncode == 5, done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"no response from 127.0.0.1:{closed_port}")
    assert "the run halts in " in first
    assert f"halted: no response from 127.0.0.1:{closed_port} for 1.5 s" in done.stderr
    assert "run the same command again to go on" in done.stderr
    assert "Traceback" not in done.stderr
    counts = status(journal).counts
    assert counts[JournalState.ACCEPTED] == sum(counts.values()) > 0


@pytest.mark.fault("L08")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_l08_one_signal_ends_a_run_that_has_sent_nothing(
    number: signal.Signals, closed_port: int, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(200))))
    journal = tmp_path / "run.db"
    # Nothing but the signal ends it.
    with subprocess.Popen(
        command(file, "--journal", journal, "--max-outage", "inf"),
        env=at_closed_port(closed_port),
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            # The circuit breaker is open: all wait.
            if "next attempt in" in line:
                break
        running.send_signal(number)
        shown = running.stderr.read()
        assert running.wait(timeout=60) == 130
    assert "stopping" in shown
    assert " 0 unknown" in shown
    assert "Traceback" not in shown
    counts = status(journal).counts
    assert counts[JournalState.ACCEPTED] == sum(counts.values()) > 0


@virtual_time
async def test_progress_line_is_printed_without_a_terminal_and_without_outcomes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, [india_order(f"B-{number}") for number in range(3)]) as run,
        bulk_runner._progress(run, 3, quiet=False),
    ):
        await asyncio.sleep(16)
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 3
    assert all(line.startswith("0 of 3 orders: 0 placed") for line in shown)
    assert all("3 waiting" in line for line in shown)


@virtual_time
async def test_quiet_run_prints_no_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        playing([never_responds]) as clickpost,
        create(clickpost, [india_order("B-1")]) as run,
        bulk_runner._progress(run, 1, quiet=True),
    ):
        await asyncio.sleep(100)
    assert capsys.readouterr().err == ""


# --- rows that contradict, or have changed ------------------------------------------------------


def test_order_whose_row_has_changed_keeps_its_waybill_in_the_results(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    results = tmp_path / "results.csv"
    job = ("--journal", tmp_path / "run.db", "--results", results)
    first = push(sandbox, saved(tmp_path / "day.jsonl", orders("B-1", "B-2")), *job)
    changed = orders("B-1", drop_info__drop_city="Thane") + orders("B-2")
    second = push(sandbox, saved(tmp_path / "day.jsonl", changed), *job)

    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert {row["reference_number"]: (row["waybill"],) for row in table(results)} == (
        sandbox.ledger()
    )
    assert "the row has changed" in table(results)[0]["reasons"] + table(results)[1]["reasons"]
    assert "1 changed since they were sent" in second.stderr


def test_reference_number_of_two_orders_is_reported_with_both_rows(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    twice = orders("B-1") + orders("B-2") + orders("B-1", drop_info__drop_name="Another Person")
    file = saved(tmp_path / "day.jsonl", twice)

    done = push(sandbox, file, "--errors", tmp_path / "errors.csv")

    assert done.returncode == 3
    first, second = sorted(error["reasons"] for error in table(tmp_path / "errors.csv"))
    assert "row 1" in first
    assert "row 3 has the same reference number" in first
    assert "row 3" in second
    assert "row 1 has the same reference number" in second
    assert {name: len(bought) for name, bought in sandbox.ledger().items()} == {"B-2": 1}


def test_label_of_a_repeated_order_is_printed_once(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2", "B-1"))

    done = push(sandbox, file, "--labels", tmp_path / "labels", "--merge", tmp_path / "all.pdf")

    assert done.returncode == 0, done.stderr
    assert len(pypdf.PdfReader(tmp_path / "all.pdf").pages) == 2
    assert "1 duplicates of earlier rows" in done.stderr


@pytest.mark.fault("L08")
def test_l08_run_interrupted_once_finishes_orders_in_flight_and_resumes_later(
    slow: Sandbox, tmp_path: Path
) -> None:
    ended = interrupted(slow, tmp_path, times=1)
    stands = status(tmp_path / "run.db")
    placed = len(slow.ledger())

    assert ended == 130
    assert (stands.in_doubt, placed < 100) == (0, True)

    again = push(slow, tmp_path / "day.jsonl", "--journal", tmp_path / "run.db", *BRISK)
    assert again.returncode == 0, again.stderr
    ledger = slow.ledger()
    assert (len(ledger), {len(bought) for bought in ledger.values()}) == (100, {1})


@pytest.mark.fault("L08")
def test_l08_run_interrupted_twice_exits_at_once_with_orders_in_doubt(
    slow: Sandbox, tmp_path: Path
) -> None:
    ended = interrupted(slow, tmp_path, times=2)

    assert ended == 130
    assert status(tmp_path / "run.db").in_doubt > 0

    again = push(slow, tmp_path / "day.jsonl", "--journal", tmp_path / "run.db", *BRISK)
    assert again.returncode == 0, again.stderr
    ledger = slow.ledger()
    assert (len(ledger), {len(bought) for bought in ledger.values()}) == (100, {1})


@pytest.mark.fault("L08")
@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_l08_one_signal_ends_the_reading_of_a_file(
    options: list[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    # The first pass reads to the end of a file that has none.
    line = json.dumps(india_order("B-1")) + "\n"
    with subprocess.Popen(
        command("-", *options), env=environ(sandbox), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        running.stdin.write(line.encode() * 2000)
        running.stdin.flush()
        # It has begun to read once it has emptied the pipe.
        for _ in range(2000):
            if not select.select([], [running.stdin], [], 0)[1]:
                time.sleep(0.01)
                continue
            break
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert running.wait(timeout=30) == 130
        assert b"Traceback" not in running.stderr.read()


@pytest.mark.fault("L08")
def test_l08_run_whose_terminal_is_closed_finishes_orders_in_flight(
    slow: Sandbox, tmp_path: Path
) -> None:
    # A shell and the kernel may send a signal each.
    ended = interrupted(slow, tmp_path, times=2, by=signal.SIGHUP)

    assert ended == 130
    assert status(tmp_path / "run.db").in_doubt == 0


def test_run_under_nohup_survives_the_end_of_its_terminal(sandbox: Sandbox, tmp_path: Path) -> None:
    names = [f"B-{number}" for number in range(30)]
    file = saved(tmp_path / "day.jsonl", orders(*names))
    script = "trap '' HUP; \"$@\" & run=$!; while kill -HUP $run; do sleep 0.05; done; wait $run"

    done = subprocess.run(
        ["sh", "-c", script, "sh", *command(file, "--rate", 30)],
        env=environ(sandbox),
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert set(sandbox.ledger()) == set(names)


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_run_whose_messages_cannot_be_written_ends_as_any_other(
    streams: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    file, results = saved(tmp_path / "day.jsonl", orders("B-1", "B-2")), tmp_path / "results.csv"
    words = command(file, "--journal", tmp_path / "run.db", "--results", results)

    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *words],
        env=environ(sandbox),
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"Traceback" not in done.stderr
    assert [row["reference_number"] for row in table(results)] == ["B-1", "B-2"]
    assert status(tmp_path / "run.db").counts[JournalState.PLACED] == 2


def show_bar(sandbox: Sandbox, file: Path, **more: str) -> bytes:
    """Return what a run writes to a terminal."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        command(file), env=environ(sandbox, TERM="xterm", **more), stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return shown


def test_terminal_shows_a_bar(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2"))
    shown = show_bar(sandbox, file, COLUMNS="150")

    assert b"2 placed, 0 rejected, 0 undecided, 0 waiting" in shown
    assert b"2/2" in shown


def test_faults_on_the_way_cost_no_order(tmp_path: Path) -> None:
    for sandbox in serve(faults=Faults(seed=5, drop_after=0.1)):
        names = [f"B-{number}" for number in range(50)]
        done = push(sandbox, saved(tmp_path / "day.jsonl", orders(*names)))
        ledger = sandbox.ledger()

        assert done.returncode == 0, done.stderr
        assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)


@pytest.mark.fault("L09")
def test_l09_suspended_process_continues_without_a_burst_or_a_second_label(
    tmp_path: Path,
) -> None:
    names = [f"B-{number}" for number in range(60)]
    file = saved(tmp_path / "day.jsonl", orders(*names))
    # A server that sees calls late sees them closer together: there is room for 0.7 s of that.
    for sandbox in serve(courier_seconds=0.05, rate=25, burst=35):
        with subprocess.Popen(
            command(file, "--quiet"), env=environ(sandbox, CLICKPOST_RATE="20/1s")
        ) as running:
            for _ in range(2000):
                if len(sandbox.ledger()) >= 10:
                    break
                time.sleep(0.01)
            running.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            running.send_signal(signal.SIGCONT)
            assert running.wait(timeout=60) == 0
        arrivals = sandbox.requests()
        ledger = sandbox.ledger()

        assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)
        assert {arrival.status for arrival in arrivals} == {200}


@pytest.mark.fault("L10")
def test_l10_process_without_free_file_descriptors_sends_nothing_it_cannot_account_for(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    names = [f"B-{number}" for number in range(200)]
    file = saved(tmp_path / "day.jsonl", orders(*names))
    journal = tmp_path / "run.db"

    starved = subprocess.run(
        command(file, "--journal", journal, "--quiet"),
        check=False,
        capture_output=True,
        timeout=60,
        env=environ(sandbox),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
    )
    fed = push(sandbox, file, "--journal", journal, *BRISK)

    assert b"Traceback" not in starved.stderr
    assert starved.returncode in (0, 4)
    assert fed.returncode == 0, fed.stderr
    ledger = sandbox.ledger()
    assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)


@pytest.mark.fault("R01")
@pytest.mark.parametrize("redis", ["redis://:not-a-real-password@127.0.0.1:1", "nonsense", ""])
def test_r01_unreachable_fleet_is_reported_in_one_line(
    sandbox: Sandbox, tmp_path: Path, redis: str
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    done = push(sandbox, file, "--fleet", CLICKPOST_REDIS_URL=redis)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("cannot use the fleet's Redis: ")
    assert "not-a-real-password" not in line
    assert sandbox.ledger() == {}


def test_redis_password_among_the_arguments_is_warned_about(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    # Without --fleet, which it implies: the orders are not sent from here.
    done = push(sandbox, file, "--redis", "redis://:not-a-real-password@127.0.0.1:1")

    warning, reason = done.stderr.splitlines()
    assert "set CLICKPOST_REDIS_URL instead" in warning
    assert reason.startswith("cannot use the fleet's Redis: ")
    assert "not-a-real-password" not in done.stderr
    assert sandbox.ledger() == {}


# --- files that are not harmed, and errors of use ------------------------------------------------


def run_bulk(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a bulk command without an account."""
    return bulk(*arguments, environ=more)


@pytest.mark.parametrize("option", ["--results", "--errors", "--merge", "--journal"])
def test_output_that_is_the_input_is_refused_and_the_input_stays(
    option: str, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    text = file.read_text()

    done = run_bulk(file, option, link, "--labels", tmp_path / "labels")

    assert done.returncode == 2
    assert f"{option} {link} is the same file as the input {file}; name another" in done.stderr
    assert file.read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day.jsonl", "link.jsonl"]


@pytest.mark.fault("L05")
@pytest.mark.parametrize("option", ["--results", "--errors"])
def test_l05_run_stops_where_its_output_cannot_be_written(
    option: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    wrong = json.dumps(india_order("B-0", drop_info__drop_pincode="41100")) + "\n"
    file = saved(tmp_path / "day.jsonl", wrong + orders(*(f"B-{n}" for n in range(1, 200))))
    journal = tmp_path / "run.db"

    done = push(sandbox, file, option, "/dev/full", "--journal", journal, "--max-concurrency", 2)

    assert done.returncode == 1
    assert "/dev/full cannot be written: No space left on device" in done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(sandbox.ledger()) < 199
    assert status(journal).in_doubt == 0


def test_results_and_errors_in_one_file_are_refused(tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    (tmp_path / "folder").mkdir()
    same = tmp_path / "folder" / ".." / "out.csv"

    done = run_bulk(file, "--results", tmp_path / "out.csv", "--errors", same)

    assert done.returncode == 2
    assert "--errors" in done.stderr
    assert "is the same file as --results" in done.stderr


@pytest.mark.parametrize("command", ["push", "resolve"])
def test_rate_that_is_none_is_a_usage_error(tmp_path: Path, command: str) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    arguments = [file] if command == "push" else ["resolve", file]

    done = run_bulk(*arguments, "--rate", "0")

    assert done.returncode == 2
    assert 'Invalid value "0" for --rate' in done.stderr
    assert "600/60s" in done.stderr


def test_run_without_a_key_leaves_earlier_results_unchanged(tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    results = saved(tmp_path / "results.csv", "of yesterday")
    errors = saved(tmp_path / "errors.csv", "of yesterday")

    done = run_bulk(file, "--results", results, "--errors", errors)

    assert done.returncode == 1
    assert "CLICKPOST_USERNAME" in done.stderr
    assert (results.read_text(), errors.read_text()) == ("of yesterday", "of yesterday")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_file_with_unknown_columns_is_a_usage_error_with_a_suggestion(
    option: tuple[str, ...], tmp_path: Path
) -> None:
    titles = "Name,Financial Status,Lineitem name,Shipping Name"
    file = saved(tmp_path / "my export.csv", titles + "\n#1,paid,Lamp,Asha\n" * 50)

    done = run_bulk(file, *option)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{file}: its columns are not ours; this looks like a Shopify export: --map shopify",
        (f"Further columns need a map of your own: clickpost bulk map '{file}' -o my-shop.toml"),
    ]


def test_columns_of_unknown_origin_are_named_and_a_map_is_proposed(tmp_path: Path) -> None:
    file = saved(tmp_path / "day.csv", "Order No,Email,PIN,Ship To PIN\n1,a@example.com,1,2\n")

    done = run_bulk(file, "--dry-run")

    assert done.returncode == 2
    assert "Ship To PIN: unknown column; did you mean drop_pincode?" in done.stderr
    assert (
        "PIN: unknown column; did you mean pickup_pincode or drop_pincode or return_pincode?"
    ) in done.stderr
    assert f"write a starter map: clickpost bulk map {file}" in done.stderr


def test_closed_output_pipe_causes_no_traceback(tmp_path: Path) -> None:
    wrong = india_order("B-1", drop_info__drop_pincode="41100")
    file = saved(tmp_path / "day.jsonl", (json.dumps(wrong) + "\n") * 3_000)

    with subprocess.Popen(
        command(file, "--dry-run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(b"row 1, ")
        running.stdout.close()
        printed = running.stderr.read()
    assert b"Traceback" not in printed
    assert running.returncode == 141


def test_dry_run_counts_what_is_skipped_and_refused(tmp_path: Path) -> None:
    columns = saved(
        tmp_path / "map.toml",
        'ignore_others = true\n[skip]\n"done" = { Status = "done" }\nvoid = { Status = "void" }\n',
    )
    rows = ["1,done", "2,void", "3,done", "4,open"]
    file = saved(tmp_path / "day.csv", "\n".join(["reference_number,Status", *rows, ""]))

    done = run_bulk(file, "--map", columns, "--dry-run")

    assert done.returncode == 3
    assert done.stderr == "4 rows: 0 orders, 3 skipped (done 2, void 1), 1 rejected\n"


def test_map_is_written_once_and_a_template_can_be_checked(tmp_path: Path) -> None:
    titles = "Name,Financial Status,Lineitem name"
    file = saved(tmp_path / "export.csv", f"{titles}\n#1,paid,Lamp\n")
    columns, filled = tmp_path / "shop.toml", tmp_path / "orders.xlsx"

    first = run_bulk("map", file, "-o", columns)
    second = run_bulk("map", file, "-o", columns)
    template = run_bulk("template", filled)
    dry = run_bulk(filled, "--dry-run")

    assert (first.returncode, second.returncode) == (0, 2)
    assert f"{file}: a Shopify export, 3 columns" in first.stderr
    assert "already exists" in second.stderr
    assert 'extends = "shopify"' in columns.read_text()
    assert (template.returncode, dry.returncode) == (0, 0), dry.stdout + dry.stderr
    assert dry.stderr == "1 row: 1 order\n"


def test_run_shows_its_first_rejections_and_where_the_others_are(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    wrong = [
        json.dumps(india_order(f"W-{number}", drop_info__drop_pincode="41100"))
        for number in range(12)
    ]
    file = saved(tmp_path / "day.jsonl", orders("B-1") + "\n".join(wrong) + "\n")

    done = push(sandbox, file, "--quiet", "--rate", "50/1s")
    listed = push(sandbox, file, "--quiet", "--errors", tmp_path / "errors.jsonl")

    lines = done.stderr.splitlines()
    assert sum(line.startswith("rejected: row ") for line in lines) == 10
    assert "2 more rejected; --errors FILE lists all" in lines
    assert "13 rows: 1 order, 12 rejected" in lines
    assert "       12 rejected" in lines
    assert max(map(len, lines)) <= 120
    assert "2 more rejected\n" in listed.stderr
    everything = f"all orders without a waybill, with their rows: {tmp_path / 'errors.jsonl'}\n"
    assert everything in listed.stderr
    assert len((tmp_path / "errors.jsonl").read_text().splitlines()) == 12


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("#1009", "#1009"),
        ("IN-27-0001", "IN-27-0001"),
        ("403-0000001-0000001", "403-0000001-0000001"),
    ],
)
def test_label_is_named_by_its_reference(reference: str, name: str) -> None:
    assert file_name(reference) == name


@pytest.mark.parametrize(
    "reference",
    [
        "B/1",
        "..",
        ".",
        "CON",
        "nul.TXT",
        "A:B",
        "A\\B",
        "A\x00B",
        "A ",
        "-A",
        "आदेश",
        "X" * 300,
        "abc",
    ],
)
def test_name_of_a_label_is_safe_on_every_system(reference: str) -> None:
    name = file_name(reference)

    assert re.fullmatch(r"[\w#()+,=@.-][\w#()+,=@ .-]*", name, re.ASCII)
    assert len(name) <= 120
    assert name[-1] not in " ."
    assert name.split(".")[0].upper() not in ("CON", "NUL")


def test_references_that_differ_have_labels_that_differ() -> None:
    references = ["A/1", "A_1", "A:1", "a/1", "abc", "ABC", "Abc", "X" * 300, "X" * 299]

    assert len({file_name(reference).casefold() for reference in references}) == len(references)


def test_bar_of_a_narrow_terminal_keeps_its_count(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2"))
    shown = show_bar(sandbox, file, COLUMNS="80")

    assert b"2/2" in shown
    plain = re.sub(rb"\x1b\[[\d;?]*[A-Za-z]", b"", shown).decode()
    assert max(len(line) for line in re.split(r"[\r\n]", plain)) <= 80


def test_summary_on_a_terminal_is_a_table_of_80_columns(sandbox: Sandbox, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2"))
    shown = show_bar(sandbox, file, COLUMNS="80").decode()

    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).splitlines()
    assert re.search(r"^│ +2 │ placed +│$", "\n".join(lines), re.MULTILINE)
    [title] = [line for line in lines if line.startswith("2 orders in ")]
    table = lines[lines.index(title) :]
    assert max(map(len, table)) <= 80
    assert table[7].startswith("├")  # below the outcomes, which add up to the orders


def test_date_format_is_an_option_and_the_message_names_it(tmp_path: Path) -> None:
    file = saved(tmp_path / "orders.csv", "reference_number,invoice_date\nA1,03/04/2026\n")

    unclear = run_bulk(file, "--dry-run")
    given = run_bulk(file, "--dry-run", "--date-format", "DD/MM/YYYY")
    wrong = run_bulk(file, "--dry-run", "--date-format", "DD/MM")

    assert "(--date-format DD/MM/YYYY)" in unclear.stdout
    assert "row 2, invoice_date: 03/04/2026 read as 2026-04-03" in given.stdout
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("--date-format: date format 'DD/MM': day, month and year")


def test_total_of_the_progress_is_that_of_the_part(tmp_path: Path) -> None:
    references = "".join(f"A{number}\n" for number in range(40))
    file = saved(tmp_path / "orders.csv", f"reference_number\n{references}")
    parts = [SourceRows(OrderFile(file, part=Part(number, 4))) for number in (1, 2, 3, 4)]

    assert [rows.total for rows in parts] == [len(list(rows)) for rows in parts]
    assert sum(rows.total or 0 for rows in parts) == 40
