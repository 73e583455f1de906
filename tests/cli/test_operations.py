import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickpost_async.cli.bulk import app as bulk
from clickpost_async.cli.fleet import app as fleet
from clickpost_async.cli.main import app
from clickpost_async.cli.operations import namespace_apps
from clickpost_async.cli.output import show
from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from tests.helpers.command_line import run_command_line
from tests.helpers.strategies import india

KEY = "not-a-real-key-of-the-command-line"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(api_key=KEY) as sandbox:
        sandbox.start()
        yield sandbox


def clickpost(
    sandbox: Sandbox, *arguments: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a shell would, with its output going into another program."""
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return run_command_line(
        arguments,
        inherited | account | {"CLICKPOST_BASE_URL": sandbox.base_url} | environ,
        stdin=stdin.encode(),
    )


def test_every_operation_of_a_namespace_has_a_command() -> None:
    commands = {
        f"{namespace.name[0]}.{method}".replace("-", "_")
        for namespace in namespace_apps()
        for method in namespace
        if not method.startswith("-")
    }

    assert commands == CATALOG.keys() | {
        "labels.download",
        "orders.create",
        "reports.download",
        "reports.wait",
    }


def test_no_command_takes_a_key_or_a_password() -> None:
    for namespace in namespace_apps():
        for method in namespace:
            if not method.startswith("-"):
                taken = {
                    name
                    for argument in namespace[method].assemble_argument_collection()
                    for name in argument.names
                }
                assert not taken & {"--key", "--password", "--api-key"}, (namespace.name, method)


def test_every_option_of_every_command_has_help_and_a_plain_value() -> None:
    arguments = [
        (f"{namespace.name[0]} {method}", argument)
        for namespace in (*namespace_apps(), bulk, fleet, app)
        for method in namespace
        if not method.startswith("-")
        for argument in namespace[method].assemble_argument_collection(parse_docstring=True)
    ]

    assert len(arguments) > 80
    assert [(command, each.names) for command, each in arguments if not each.parameter.help] == []
    assert [each.names for _, each in arguments if "." in each.name] == []


def test_order_is_read_and_printed_as_json(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(india({"shipment_details.reference_number": "CLI-1"})))

    created = clickpost(sandbox, "orders", "create-india", str(file))
    found = clickpost(sandbox, "orders", "find-india", "CLI-1")

    assert (created.returncode, created.stderr) == (0, "")
    [waybill] = sandbox.ledger()["CLI-1"]
    assert json.loads(created.stdout)["waybill"] == waybill
    assert json.loads(found.stdout)["waybill"] == waybill


def test_response_that_cannot_be_written_is_not_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(india({"shipment_details.reference_number": "ONE"})))
    words = [sys.executable, "-m", "clickpost_async", "orders", "create-india", str(file)]
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >/dev/full', "sh", *words],
        env=account | {"CLICKPOST_BASE_URL": sandbox.base_url, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    response, message = done.stderr.splitlines()
    assert json.loads(response)["waybill"] == sandbox.ledger()["ONE"][0]
    assert message == "standard output cannot be written: No space left on device"
    assert done.returncode == 1


def test_label_is_downloaded_and_its_path_printed(sandbox: Sandbox, tmp_path: Path) -> None:
    order = json.dumps(india({"shipment_details.reference_number": "CLI-3"}))
    label = json.loads(clickpost(sandbox, "orders", "create", "-", stdin=order).stdout)["label"]
    file = tmp_path / "label.pdf"

    done = clickpost(sandbox, "labels", "download", label, str(file))
    again = clickpost(sandbox, "labels", "download", label, str(file))
    lost = clickpost(sandbox, "labels", "download", label, "/proc/label.pdf")

    assert (done.returncode, json.loads(done.stdout)) == (0, str(file))
    assert file.read_bytes().startswith(b"%PDF-")
    assert (again.returncode, lost.returncode) == (2, 1)
    assert "overwrite" in again.stderr
    assert "/proc/label.pdf" in lost.stderr
    assert "Traceback" not in lost.stderr


def test_report_is_waited_for_and_downloaded(sandbox: Sandbox, tmp_path: Path) -> None:
    query = {
        "filters": {
            "updated_at_start_time": "2026-03-01 10:00:00",
            "updated_at_end_time": "2026-03-01 12:00:00",
        }
    }
    requested = clickpost(sandbox, "reports", "request", "-", stdin=json.dumps(query))
    reference = str(json.loads(requested.stdout)["report_reference_number"])

    ready = json.loads(clickpost(sandbox, "reports", "wait", reference).stdout)
    done = clickpost(sandbox, "reports", "download", ready["s3_link"], str(tmp_path / "report.csv"))

    assert ready["report_status"] == "SUCCESS"
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.csv").stat().st_size


def test_body_may_come_through_a_pipe(sandbox: Sandbox) -> None:
    order = india({"shipment_details.reference_number": "CLI-2"})

    ran = clickpost(sandbox, "orders", "create-india", "-", stdin=json.dumps(order))

    assert ran.returncode == 0
    assert "CLI-2" in sandbox.ledger()


def test_several_waybills_are_tracked_at_once(sandbox: Sandbox) -> None:
    ran = clickpost(sandbox, "tracking", "track", "--courier-partner", "4", "A1", "A2")

    assert ran.returncode == 0
    assert list(json.loads(ran.stdout)["tracks"]) == ["A1", "A2"]


def test_times_and_switches_are_understood(sandbox: Sandbox) -> None:
    window = ("2026-03-01T10:00:00+0530", "2026-03-01T10:20:00+0530")

    assert json.loads(clickpost(sandbox, "orders", "updated", *window).stdout)["rows"] == []
    assert json.loads(clickpost(sandbox, "couriers", "accounts", "--no-active").stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("orders", "find-india", "NOBODY"), 2, "Awb Number Does not exist"),
        (("couriers", "pincode", "12"), 2, "pincode"),
        (
            ("labels", "fetch", "NOBODYS", "--courier-partner", "4"),
            4,
            "safe to retry the same call",
        ),
        (("orders", "create-india", "/nowhere/order.json"), 1, "/nowhere/order.json"),
    ],
)
def test_failure_has_an_exit_code(
    sandbox: Sandbox, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ran = clickpost(sandbox, *arguments)

    assert ran.returncode == code
    assert ran.stdout == ""
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_wrong_key_has_a_code_of_its_own_and_is_not_shown(sandbox: Sandbox) -> None:
    wrong = "not-a-real-key-either"

    ran = clickpost(sandbox, "couriers", "pincode", "380055", CLICKPOST_API_KEY=wrong)

    assert ran.returncode == 3
    assert wrong not in ran.stdout + ran.stderr


def test_unreachable_server_has_processed_nothing(sandbox: Sandbox) -> None:
    account = {"CLICKPOST_USERNAME": "sandbox", "CLICKPOST_API_KEY": KEY}
    environ = account | {"CLICKPOST_BASE_URL": sandbox.base_url, "PATH": os.environ["PATH"]}
    sandbox.stop()

    ran = run_command_line(
        ("account", "token", "someone"), environ | {"CLICKPOST_PASSWORD": "not-a-password"}
    )

    assert ran.returncode == 5
    assert "not-a-password" not in ran.stdout + ran.stderr


def test_key_may_be_in_a_private_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    arguments = ("couriers", "pincode", "380055")
    named = {"CLICKPOST_API_KEY": "", "CLICKPOST_KEY_FILE": str(file)}

    file.chmod(0o644)
    open_to_all = clickpost(sandbox, *arguments, **named)
    file.chmod(0o600)
    private = clickpost(sandbox, *arguments, **named)

    assert open_to_all.returncode == 1
    assert "chmod 600" in open_to_all.stderr
    assert json.loads(private.stdout)["city"] == "AHMEDABAD"


def test_rate_of_the_environment_is_read(sandbox: Sandbox) -> None:
    ran = clickpost(sandbox, "couriers", "pincode", "380055", CLICKPOST_RATE="a lot")

    assert ran.returncode == 1
    assert "such as '10/1s'" in ran.stderr
    # The account is not what is missing.
    assert "CLICKPOST_KEY_FILE" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_echoed_text_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    show(CreatedOrder(waybill="[/b] :box:", reference_number="[red]1"))

    shown = capsys.readouterr().out
    assert "[/b] :box:" in shown
    assert "[red]1" in shown


def test_missing_account_is_reported(sandbox: Sandbox) -> None:
    ran = clickpost(sandbox, "couriers", "pincode", "380055", CLICKPOST_API_KEY="")

    assert ran.returncode == 1
    assert "CLICKPOST_KEY_FILE" in ran.stderr
    assert "Traceback" not in ran.stderr
