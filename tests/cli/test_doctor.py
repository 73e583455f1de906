"""`clickpost doctor`: one finding for each thing that a call needs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clickpost_async._http.tls import verifying_context
from clickpost_async.cli import doctor
from clickpost_async.sandbox import Sandbox
from tests.helpers.http_server import Peer, http, serving

pytestmark = pytest.mark.asyncio

UUID = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("USERNAME", "API_KEY", "KEY", "KEY_FILE", "BASE_URL", "RATE"):
        monkeypatch.delenv(f"CLICKPOST_{name}", raising=False)
    for name in doctor._PROXIES:
        monkeypatch.delenv(name, raising=False)
    yield
    verifying_context.cache_clear()


async def findings() -> Mapping[str, tuple[str, str]]:
    return {each.subject: (each.state, each.text) async for each in doctor.examine()}


async def test_every_check_passes_at_a_sandbox(
    clickpost_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await doctor.run() == 0

    printed = capsys.readouterr().out
    assert [line[:23].split() for line in printed.splitlines() if not line.startswith(" ")] == [
        ["ok", "installation"],
        ["ok", "libraries"],
        ["ok", "rate"],
        ["ok", "credentials"],
        ["ok", "connection"],
        ["ok", "call"],
    ]
    assert clickpost_sandbox.api_key not in printed


async def test_wrong_key_fails_the_call_and_is_not_printed(
    clickpost_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLICKPOST_API_KEY", UUID)

    assert await doctor.run() == 1

    printed = capsys.readouterr().out
    assert "FAILED   call " in printed
    assert UUID not in printed


async def test_missing_credentials_name_their_variables_and_the_server_is_still_checked(
    clickpost_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLICKPOST_API_KEY")

    found = await findings()

    state, text = found["credentials"]
    assert state == doctor.FAILED
    assert text.startswith("no account: the API key not set; ")
    assert "CLICKPOST_KEY_FILE" in text
    assert "clickpost sandbox" in text
    assert found["connection"][0] == doctor.OK
    assert "call" not in found


async def test_findings_fit_80_columns_and_no_line_begins_with_a_stray_space(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("CLICKPOST_BASE_URL", "http://127.0.0.1:9/api")
    monkeypatch.delenv("CLICKPOST_USERNAME", raising=False)

    assert await doctor.run() == 1

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    indents = {len(line) - len(line.lstrip()) for line in lines}
    assert indents == {0, 24, 26}  # a finding, its further lines, and a list in them


async def test_unreachable_server_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLICKPOST_USERNAME", "acme")
    monkeypatch.setenv("CLICKPOST_API_KEY", UUID)
    monkeypatch.setenv("CLICKPOST_BASE_URL", "http://127.0.0.1:9/api")

    found = await findings()

    state, text = found["connection"]
    assert state == doctor.FAILED
    assert text.startswith("127.0.0.1:9: ")
    assert "call" not in found


@pytest.mark.parametrize(
    ("date", "state", "part"),
    [
        ("Fri, 27 Nov 2026 11:00:00 GMT", "warning", "3600 s ahead of"),
        ("Fri, 27 Nov 2026 12:00:30 GMT", "ok", "within 60 s"),
        ("Fri, 27 Nov 2026 13:00:00 GMT", "warning", "3600 s behind"),
        ("yesterday", "warning", "cannot be read"),
    ],
)
async def test_clock_is_compared_with_the_server(
    monkeypatch: pytest.MonkeyPatch, date: str, state: str, part: str
) -> None:
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    monkeypatch.setattr(doctor, "time", noon.timestamp)

    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(date=date))

    async with serving(talk) as server:
        monkeypatch.setenv("CLICKPOST_BASE_URL", f"http://127.0.0.1:{server.port}/api")
        found = await findings()

    assert found["clock"][0] == state
    assert part in found["clock"][1]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (("CLICKPOST_RATE", "600/60s"), ("rate", "ok", "10 calls a second")),
        (("CLICKPOST_RATE", "fast"), ("settings", "FAILED", "CLICKPOST_RATE")),
        (("CLICKPOST_BASE_URL", "ftp://example.org"), ("settings", "FAILED", "CLICKPOST_BASE_URL")),
        (("HTTPS_PROXY", "http://proxy.example:3128"), ("HTTPS_PROXY", "warning", "transport=")),
        (("SSL_CERT_FILE", "/nowhere.pem"), ("certificates", "FAILED", "/nowhere.pem")),
        (("CLICKPOST_API_KEY", " spaced "), ("credentials", "FAILED", "CLICKPOST_API_KEY")),
    ],
)
async def test_settings_are_checked(
    clickpost_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    setting: tuple[str, str],
    expected: tuple[str, str, str],
) -> None:
    verifying_context.cache_clear()
    monkeypatch.setenv(*setting)
    subject, state, part = expected

    found = await findings()

    assert found[subject][0] == state
    assert part in found[subject][1]


async def test_key_of_another_shape_is_a_warning_away_from_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("not-a-real-key\n")
    file.chmod(0o600)
    monkeypatch.setenv("CLICKPOST_USERNAME", "acme")
    monkeypatch.setenv("CLICKPOST_KEY_FILE", str(file))
    monkeypatch.setenv("CLICKPOST_BASE_URL", "https://[::1]:9/api")
    monkeypatch.setattr(doctor.Hosts, "local", False)

    state, text = (await findings())["credentials"]

    assert state == doctor.WARNING
    assert "CLICKPOST_KEY_FILE" in text
    assert "36 hexadecimal" in text
    assert "not-a-real-key" not in text
