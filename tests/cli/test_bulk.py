"""A file of orders, pushed by real processes to a sandbox on a real port."""

import asyncio
import csv
import json
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clickpost_async.bulk import create, status
from clickpost_async.bulk.records import JournalState
from clickpost_async.cli import bulk_runner
from clickpost_async.sandbox import Faults, Sandbox
from clickpost_async.sandbox.server import Served
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import never_answers, playing
from tests.sandbox.samples import india_order

pypdf = pytest.importorskip("pypdf")

KEY = "not-a-real-key-of-the-command-line"


# So that a test need not wait as long as a courier deserves.
BRISK = ("--settling", "0.5")


def serve(**settings: Any) -> Iterator[Served]:
    with Sandbox(api_key=KEY, **settings) as sandbox:
        server = Served(sandbox)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def served() -> Iterator[Served]:
    yield from serve()


@pytest.fixture
def slow() -> Iterator[Served]:
    yield from serve(courier_seconds=1.0)


def environ(server: Served, **more: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    return inherited | account | {"CLICKPOST_BASE_URL": server.url} | more


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "clickpost_async", "bulk", *map(str, arguments)]


def push(
    server: Served, *arguments: object, told: bytes | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        timeout=60,
        input=told,
        env=environ(server, **more),
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def orders(*references: str, **changes: Any) -> str:
    return "".join(json.dumps(india_order(name, **changes)) + "\n" for name in references)


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def table(path: Path) -> list[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_file_becomes_waybills_and_the_same_command_again_buys_nothing(
    served: Served, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2", "B-3"))
    job = (file, "--journal", tmp_path / "run.db", "--results", tmp_path / "results.csv")

    first = push(served, *job)
    bought = dict(served.sandbox.ledger())
    second = push(served, *job)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert served.sandbox.ledger() == bought
    assert {
        row["reference_number"]: (row["waybill"],) for row in table(tmp_path / "results.csv")
    } == (bought)
    assert {row["known_from_journal"] for row in table(tmp_path / "results.csv")} == {"True"}
    assert KEY not in first.stdout + first.stderr
    assert KEY.encode() not in (tmp_path / "run.db").read_bytes()


def test_what_is_rejected_goes_to_the_errors_and_tells_in_the_exit_code(
    served: Served, tmp_path: Path
) -> None:
    wrong = india_order("B-2")
    wrong["drop_info"]["drop_pincode"] = "41100"
    file = saved(tmp_path / "day.jsonl", orders("B-1") + json.dumps(wrong) + "\n")

    done = push(served, file, "--errors", tmp_path / "errors.csv")

    assert done.returncode == 3
    [error] = table(tmp_path / "errors.csv")
    assert (error["row"], error["reference_number"]) == ("2", "B-2")
    assert "drop_pincode" in error["reasons"]


def test_what_nobody_knows_tells_in_the_exit_code_and_is_settled_by_resolve(
    served: Served, tmp_path: Path
) -> None:
    served.sandbox.faults.drop_after = 1.0
    file = saved(tmp_path / "day.jsonl", orders("B-1"))
    journal = tmp_path / "run.db"

    held = push(served, file, "--journal", journal, "--hold", *BRISK)
    told = push(served, "status", journal)
    served.sandbox.faults.drop_after = 0.0
    settled = push(served, "resolve", journal, *BRISK)
    after = push(served, "status", journal)

    assert (held.returncode, told.returncode, settled.returncode, after.returncode) == (4, 4, 0, 0)
    assert "in doubt: no answer came" in told.stdout
    assert "bulk resolve" in told.stdout
    assert {name: len(bought) for name, bought in served.sandbox.ledger().items()} == {"B-1": 1}


def test_a_key_that_is_refused_halts_the_run(served: Served, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(300))))

    done = push(served, file, CLICKPOST_API_KEY="a-wrong-key-that-is-obviously-fake")

    assert done.returncode == 5
    assert served.sandbox.ledger() == {}
    assert "give --journal" in done.stderr
    assert "a-wrong-key" not in done.stderr


def test_check_prints_every_mistake_and_needs_no_account(tmp_path: Path) -> None:
    wrong = india_order("B-1")
    wrong["drop_info"]["drop_pincode"] = "41100"
    wrong["pickup_info"]["pickup_phone"] = ""
    file = saved(tmp_path / "day.jsonl", orders("B-1") + json.dumps(wrong) + "\n")

    done = subprocess.run(
        command(file, "--check"), check=False, capture_output=True, text=True, timeout=60, env={}
    )

    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 3
    assert all(line.startswith("row 2, ") for line in done.stdout.splitlines())
    assert "2 orders, 1 with mistakes" in done.stderr


def test_orders_may_come_from_standard_input(served: Served) -> None:
    done = push(served, "-", told=orders("B-1", "B-2").encode())

    assert done.returncode == 0, done.stderr
    assert served.sandbox.ledger().keys() == {"B-1", "B-2"}


def test_a_foreign_file_is_read_with_a_map(served: Served, tmp_path: Path) -> None:
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

    done = push(served, file, "--map", columns)

    assert done.returncode == 0, done.stdout + done.stderr
    assert served.sandbox.ledger().keys() == {"B-1", "B-2"}


def test_labels_are_downloaded_and_merged_in_the_order_of_the_file(
    served: Served, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B/1", "B-2", "B-3"))

    done = push(served, file, "--labels", tmp_path / "labels", "--merge", tmp_path / "all.pdf")

    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "labels").iterdir()} == {
        *("B%2F1.pdf", "B-2.pdf", "B-3.pdf"),
    }
    texts = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "all.pdf").pages]
    bought = served.sandbox.ledger()
    assert [
        bought[name][0] in text for name, text in zip(("B/1", "B-2", "B-3"), texts, strict=True)
    ]


def test_merging_needs_the_labels(served: Served, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    done = push(served, file, "--merge", tmp_path / "all.pdf")

    assert done.returncode == 2
    assert "--labels" in done.stderr
    assert served.sandbox.ledger() == {}


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
def test_what_cannot_be_used_is_named_and_nothing_is_sent(
    arguments: list[str], words: str, served: Served, tmp_path: Path
) -> None:
    saved(tmp_path / "day.jsonl", orders("B-1"))
    names = [f"{tmp_path}/{name}" if "." in name else name for name in arguments]

    done = push(served, *names)

    assert done.returncode not in (0, 3, 4)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert served.sandbox.ledger() == {}


def interrupted(server: Served, tmp_path: Path, *, times: int) -> int:
    """Interrupt a run of a hundred slow orders after the first of them were placed."""
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(100))))
    journal = tmp_path / "run.db"
    with subprocess.Popen(
        command(file, "--journal", journal, "--max-concurrency", 5),
        env=environ(server),
        stderr=subprocess.PIPE,
    ) as running:
        for _ in range(2000):
            # The first are placed and written down, the next are under way for a second.
            if server.sandbox.ledger():
                stands = status(journal)
                if stands.counts[JournalState.PLACED] == stands.in_doubt == 5:
                    break
            time.sleep(0.01)
        assert running.stderr is not None
        for number in range(times):
            running.send_signal(signal.SIGINT)
            if number == 0:
                assert b"stopping" in running.stderr.readline()
        sys.stderr.write(running.stderr.read().decode())
    return running.returncode


# --- nobody responds ----------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port that nobody listens at."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def at_closed_port(port: int) -> dict[str, str]:
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return inherited | account | {"CLICKPOST_BASE_URL": f"http://127.0.0.1:{port}/api"}


@pytest.mark.parametrize("quiet", [True, False])
def test_a_host_that_cannot_be_reached_is_told_and_halts_the_run(
    quiet: bool, closed_port: int, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders(*(f"B-{number}" for number in range(200))))
    journal = tmp_path / "run.db"
    how = [file, "--journal", journal, "--max-outage", "1.5", *(["--quiet"] if quiet else [])]

    done = subprocess.run(
        command(*how),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=at_closed_port(closed_port),
    )

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
def test_l08_one_signal_ends_a_run_of_which_nothing_has_left(
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
        told = running.stderr.read()
        assert running.wait(timeout=60) == 130
    assert "stopping" in told
    assert " 0 unknown" in told
    assert "Traceback" not in told
    counts = status(journal).counts
    assert counts[JournalState.ACCEPTED] == sum(counts.values()) > 0


@virtual_time
async def test_without_a_terminal_a_line_tells_how_far_it_is_though_nothing_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        playing([never_answers]) as clickpost,
        create(clickpost, [india_order(f"B-{number}") for number in range(3)]) as run,
        bulk_runner._progress(run, 3, quiet=False),
    ):
        await asyncio.sleep(16)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    assert all(line.startswith("0 of 3 orders: 0 placed") for line in told)
    assert all("3 waiting" in line for line in told)


@virtual_time
async def test_a_quiet_run_tells_nothing_of_its_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with (
        playing([never_answers]) as clickpost,
        create(clickpost, [india_order("B-1")]) as run,
        bulk_runner._progress(run, 1, quiet=True),
    ):
        await asyncio.sleep(100)
    assert capsys.readouterr().err == ""


# --- rows that contradict, or have changed ------------------------------------------------------


def test_an_order_whose_row_has_changed_keeps_its_waybill_in_the_results(
    served: Served, tmp_path: Path
) -> None:
    results = tmp_path / "results.csv"
    job = ("--journal", tmp_path / "run.db", "--results", results)
    first = push(served, saved(tmp_path / "day.jsonl", orders("B-1", "B-2")), *job)
    changed = orders("B-1", drop_info__drop_city="Thane") + orders("B-2")
    second = push(served, saved(tmp_path / "day.jsonl", changed), *job)

    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert {row["reference_number"]: (row["waybill"],) for row in table(results)} == (
        served.sandbox.ledger()
    )
    assert "the row has changed" in table(results)[0]["reasons"] + table(results)[1]["reasons"]
    assert "1 changed since they were sent" in second.stderr


def test_a_number_of_two_orders_is_told_with_both_rows(served: Served, tmp_path: Path) -> None:
    twice = orders("B-1") + orders("B-2") + orders("B-1", drop_info__drop_name="Another Person")
    file = saved(tmp_path / "day.jsonl", twice)

    done = push(served, file, "--errors", tmp_path / "errors.csv")

    assert done.returncode == 3
    [error] = table(tmp_path / "errors.csv")
    assert "row 3" in error["reasons"]
    assert "row 1 has the same reference number" in error["reasons"]
    assert {name: len(bought) for name, bought in served.sandbox.ledger().items()} == {
        "B-1": 1,
        "B-2": 1,
    }


def test_a_label_is_printed_once_however_often_its_order_comes(
    served: Served, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2", "B-1"))

    done = push(served, file, "--labels", tmp_path / "labels", "--merge", tmp_path / "all.pdf")

    assert done.returncode == 0, done.stderr
    assert len(pypdf.PdfReader(tmp_path / "all.pdf").pages) == 2
    assert "1 duplicates of earlier rows" in done.stderr


@pytest.mark.fault("L08")
def test_l08_interrupted_once_it_ends_what_is_under_way_and_goes_on_later(
    slow: Served, tmp_path: Path
) -> None:
    ended = interrupted(slow, tmp_path, times=1)
    stands = status(tmp_path / "run.db")
    placed = len(slow.sandbox.ledger())

    assert ended == 130
    assert (stands.in_doubt, placed < 100) == (0, True)

    again = push(slow, tmp_path / "day.jsonl", "--journal", tmp_path / "run.db", *BRISK)
    assert again.returncode == 0, again.stderr
    ledger = slow.sandbox.ledger()
    assert (len(ledger), {len(bought) for bought in ledger.values()}) == (100, {1})


@pytest.mark.fault("L08")
def test_l08_interrupted_twice_it_leaves_at_once_and_what_was_under_way_is_in_doubt(
    slow: Served, tmp_path: Path
) -> None:
    ended = interrupted(slow, tmp_path, times=2)

    assert ended == 130
    assert status(tmp_path / "run.db").in_doubt > 0

    again = push(slow, tmp_path / "day.jsonl", "--journal", tmp_path / "run.db", *BRISK)
    assert again.returncode == 0, again.stderr
    ledger = slow.sandbox.ledger()
    assert (len(ledger), {len(bought) for bought in ledger.values()}) == (100, {1})


def test_a_terminal_shows_a_bar(served: Served, tmp_path: Path) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1", "B-2"))
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        command(file), env=environ(served, TERM="xterm", COLUMNS="150"), stderr=theirs
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
    assert b"2 placed, 0 rejected, 0 undecided, 0 waiting" in shown
    assert b"2/2" in shown


def test_faults_on_the_way_cost_no_order(tmp_path: Path) -> None:
    for server in serve(faults=Faults(seed=5, drop_after=0.1)):
        names = [f"B-{number}" for number in range(50)]
        done = push(server, saved(tmp_path / "day.jsonl", orders(*names)))
        ledger = server.sandbox.ledger()

        assert done.returncode == 0, done.stderr
        assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)


@pytest.mark.fault("L09")
def test_l09_a_process_that_was_stopped_for_a_while_goes_on_without_a_burst_or_a_second_label(
    tmp_path: Path,
) -> None:
    names = [f"B-{number}" for number in range(60)]
    file = saved(tmp_path / "day.jsonl", orders(*names))
    # A server that sees calls late sees them closer together: there is room for 0.7 s of that.
    for server in serve(courier_seconds=0.05, rate=25, burst=35):
        with subprocess.Popen(
            command(file, "--quiet"), env=environ(server, CLICKPOST_RATE="20/1s")
        ) as running:
            for _ in range(2000):
                if len(server.sandbox.ledger()) >= 10:
                    break
                time.sleep(0.01)
            running.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            running.send_signal(signal.SIGCONT)
            assert running.wait(timeout=60) == 0
        arrivals = server.sandbox.requests()
        ledger = server.sandbox.ledger()

        assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)
        assert {arrival.status for arrival in arrivals} == {200}


@pytest.mark.fault("L10")
def test_l10_a_process_without_free_file_descriptors_sends_nothing_it_cannot_account_for(
    served: Served, tmp_path: Path
) -> None:
    names = [f"B-{number}" for number in range(200)]
    file = saved(tmp_path / "day.jsonl", orders(*names))
    journal = tmp_path / "run.db"

    starved = subprocess.run(
        command(file, "--journal", journal, "--quiet"),
        check=False,
        capture_output=True,
        timeout=60,
        env=environ(served),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
    )
    fed = push(served, file, "--journal", journal, *BRISK)

    assert b"Traceback" not in starved.stderr
    assert starved.returncode in (0, 4)
    assert fed.returncode == 0, fed.stderr
    ledger = served.sandbox.ledger()
    assert {name: len(bought) for name, bought in ledger.items()} == dict.fromkeys(names, 1)


@pytest.mark.fault("R01")
@pytest.mark.parametrize("redis", ["redis://:not-a-real-password@127.0.0.1:1", "nonsense", ""])
def test_r01_a_fleet_that_cannot_be_reached_is_told_in_a_line(
    served: Served, tmp_path: Path, redis: str
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    done = push(served, file, "--fleet", CLICKPOST_REDIS_URL=redis)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("the fleet's Redis cannot be asked: ")
    assert "not-a-real-password" not in line
    assert served.sandbox.ledger() == {}


def test_a_redis_password_among_the_arguments_is_warned_about(
    served: Served, tmp_path: Path
) -> None:
    file = saved(tmp_path / "day.jsonl", orders("B-1"))

    # Without --fleet, which it implies: the orders are not sent from here.
    done = push(served, file, "--redis", "redis://:not-a-real-password@127.0.0.1:1")

    warning, reason = done.stderr.splitlines()
    assert "set CLICKPOST_REDIS_URL instead" in warning
    assert reason.startswith("the fleet's Redis cannot be asked: ")
    assert "not-a-real-password" not in done.stderr
    assert served.sandbox.ledger() == {}
