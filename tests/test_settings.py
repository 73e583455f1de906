"""Settings are checked when they are made, and none of them shows the key."""

import copy
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._core.auth import Credentials, Secret, resolve_credentials
from clickpost_async._core.retry import RetryPolicy
from clickpost_async.settings import (
    BodyStyle,
    Host,
    Hosts,
    Priority,
    Rate,
    Timeouts,
    resolve_hosts,
)

KEY = "not-a-real-key-0123456789"
USERNAME_IS_MISSING = "username is missing: pass ClickPost(username=...) or set CLICKPOST_USERNAME"
KEY_IS_MISSING = "api_key is missing: pass ClickPost(api_key=...) or set CLICKPOST_API_KEY"


def set_environment(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> None:
    for name in ("CLICKPOST_USERNAME", "CLICKPOST_API_KEY", "CLICKPOST_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


# --- the key ------------------------------------------------------------------------------------


def shown_by(value: Any) -> list[str]:
    """Return all that the usual ways of showing a value show."""
    return [
        repr(value),
        str(value),
        format(value),
        f"{value!r:>40} {value!a}",
        "%s %r" % (value, value),  # noqa: UP031 - that spelling is what is asked about
        repr([value]),
        str({"key": value}),
        repr(dir(value)),
        json.dumps({"key": value}, default=repr),
    ]


def test_secret_is_only_given_out_by_reveal() -> None:
    secret = Secret(KEY)

    assert secret.reveal() == KEY
    assert all(KEY not in shown for shown in shown_by(secret))
    assert repr(secret) == "Secret(…)"


def test_credentials_show_the_username_and_not_the_key() -> None:
    credentials = resolve_credentials("acme", KEY)

    assert isinstance(credentials.api_key, Secret)
    assert credentials.api_key.reveal() == KEY
    assert "acme" in repr(credentials)
    for shown in (
        *shown_by(credentials),
        str(attrs.asdict(credentials)),
        str(attrs.astuple(credentials)),
    ):
        assert KEY not in shown


@pytest.mark.parametrize("value", [Secret(KEY), resolve_credentials("acme", KEY)])
def test_no_table_of_attributes_has_the_key(value: Any) -> None:
    with pytest.raises(TypeError):
        vars(Secret(KEY))
    for name in dir(value):
        assert KEY not in repr(getattr(value, name, None))


@pytest.mark.parametrize("value", [Secret(KEY), resolve_credentials("acme", KEY)])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secret_is_not_pickled(value: Any, protocol: int) -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(value, protocol)

    assert KEY not in str(caught.value)


def test_copy_of_a_secret_is_the_secret() -> None:
    secret = Secret(KEY)

    assert copy.copy(secret) is secret
    assert copy.deepcopy(secret) is secret
    assert KEY not in repr(copy.deepcopy(resolve_credentials("acme", KEY)))


def test_secrets_are_compared_without_being_shown() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret("another")
    assert Secret(KEY) != KEY
    assert resolve_credentials("acme", KEY) == resolve_credentials("acme", KEY)


def test_log_line_shows_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("shop").debug("calling as %s", resolve_credentials("acme", KEY))

    assert "acme" in caplog.text
    assert KEY not in caplog.text


def test_traceback_with_locals_shows_no_secret() -> None:
    def fails(credentials: Credentials) -> None:
        message = "something else"
        raise RuntimeError(message)

    try:
        fails(resolve_credentials("acme", KEY))
    except RuntimeError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )

    assert "credentials = Credentials(" in shown
    assert "api_key=…" in shown


async def _rotating() -> str:
    return KEY


@pytest.mark.parametrize("source", [lambda: KEY, _rotating])
def test_key_may_be_a_callable(source: Any) -> None:
    credentials = resolve_credentials("acme", source)

    assert credentials.api_key is source
    assert repr(credentials) == "Credentials(username='acme', api_key=…)"


@pytest.mark.parametrize("key", ["", " ", "\t", "\n", "ke\x00y", "k" * 101])
def test_malformed_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key must be the API key") as caught:
        resolve_credentials("acme", key)

    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize("username", ["", "ac\x00me", "a" * 101])
def test_username_that_cannot_be_one_is_refused(username: str) -> None:
    with pytest.raises(ValueError, match="username must be the username of your"):
        resolve_credentials(username, KEY)


WHITE_SPACE = [
    ("{}\n", "ends with a line break: strip it, as with Path(…).read_text().strip()"),
    ("{}\r\n", "ends with a line break: strip it, as with Path(…).read_text().strip()"),
    ("{} \n", "ends with a line break: strip it, as with Path(…).read_text().strip()"),
    ("{} ", "ends with white space: strip it"),
    ("{}\u00a0", "ends with white space: strip it"),
    ("\t{}", "starts with white space: strip it"),
    ("\n{}", "starts with white space: strip it"),
    ("{0}\n{0}", "contains a line break: give one line"),
]


@pytest.mark.parametrize(("around", "problem"), WHITE_SPACE)
def test_white_space_around_credentials_is_reported_without_showing_them(
    around: str, problem: str
) -> None:
    for name, username, key in (
        ("username", around.format("acme"), KEY),
        ("api_key", "acme", around.format(KEY)),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{name} {problem}")) as caught:
            resolve_credentials(username, key)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(("around", "problem"), WHITE_SPACE)
@pytest.mark.parametrize("name", ["CLICKPOST_USERNAME", "CLICKPOST_API_KEY", "CLICKPOST_KEY"])
def test_white_space_in_the_environment_is_reported_with_the_variable(
    name: str, around: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"CLICKPOST_USERNAME": "acme", "CLICKPOST_KEY": KEY, name: around.format(KEY)}
    set_environment(monkeypatch, environ)

    with pytest.raises(ValueError, match=re.escape(f"{name} {problem}")) as caught:
        resolve_credentials(None, None)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("around", "problem"), WHITE_SPACE)
def test_white_space_around_a_base_url_is_named(
    around: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = around.format("https://proxy.example.com/api")
    monkeypatch.setenv("CLICKPOST_BASE_URL", url)

    with pytest.raises(ValueError, match=re.escape(f"url {problem}")):
        Hosts.at(url)
    with pytest.raises(ValueError, match=re.escape(f"main {problem}")):
        Hosts(main=url)
    with pytest.raises(ValueError, match=re.escape(f"base_url {problem}")):
        resolve_hosts(url, None)
    with pytest.raises(ValueError, match=re.escape(f"CLICKPOST_BASE_URL {problem}")):
        resolve_hosts(None, None)


@pytest.mark.parametrize("value", [b"key", 5, ["key"]])
def test_key_or_username_of_another_type_is_refused_without_being_shown(value: Any) -> None:
    got = f"got {type(value).__name__}$"
    with pytest.raises(TypeError, match=f"^api_key must be the API key .*{got}"):
        resolve_credentials("acme", value)
    with pytest.raises(TypeError, match=f"^username must be the username .*{got}"):
        resolve_credentials(value, KEY)


def test_hundred_characters_are_taken() -> None:
    credentials = resolve_credentials("a" * 100, "k" * 100)

    assert len(credentials.username) == 100


@pytest.mark.parametrize(
    "environ",
    [
        {"CLICKPOST_USERNAME": "acme", "CLICKPOST_API_KEY": KEY},
        {"CLICKPOST_USERNAME": "acme", "CLICKPOST_KEY": KEY},
        {"CLICKPOST_USERNAME": "acme", "CLICKPOST_API_KEY": KEY, "CLICKPOST_KEY": "older"},
        {"CLICKPOST_USERNAME": "acme", "CLICKPOST_API_KEY": "", "CLICKPOST_KEY": KEY},
    ],
)
def test_credentials_are_read_from_the_environment(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, environ)

    assert resolve_credentials(None, None) == Credentials("acme", Secret(KEY))


def test_arguments_override_the_environment_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, {"CLICKPOST_USERNAME": "acme", "CLICKPOST_API_KEY": KEY})

    assert resolve_credentials("lotus", None) == Credentials("lotus", Secret(KEY))
    assert resolve_credentials(None, "another") == Credentials("acme", Secret("another"))


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, [USERNAME_IS_MISSING, KEY_IS_MISSING]),
        ({"CLICKPOST_USERNAME": "acme"}, [KEY_IS_MISSING]),
        ({"CLICKPOST_KEY": KEY}, [USERNAME_IS_MISSING]),
        ({"CLICKPOST_USERNAME": "", "CLICKPOST_KEY": ""}, [USERNAME_IS_MISSING, KEY_IS_MISSING]),
    ],
)
def test_missing_credentials_are_named_with_what_to_write(
    environ: dict[str, str], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, environ)

    with pytest.raises(ValueError, match=f"^{re.escape('; '.join(missing))}$"):
        resolve_credentials(None, None)


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("key", ["acme", lambda: "acme"])
def test_swapped_username_and_key_are_detected_without_being_shown(key: Any) -> None:
    with pytest.raises(ValueError, match="username and api_key may be swapped") as caught:
        resolve_credentials(UUID, key)

    assert UUID not in str(caught.value)


def test_uuid_is_taken_as_the_key_and_two_of_them_as_they_are() -> None:
    assert resolve_credentials("acme", UUID).username == "acme"
    assert resolve_credentials(UUID, UUID).username == UUID


# --- numbers -------------------------------------------------------------------------------------

NOT_NUMBERS = [None, "5", True, [5], float]
NOT_FINITE = [float("nan"), float("inf"), float("-inf"), 10**400]


def refuses(make: Callable[[], object], message: str) -> bool:
    """Tell whether making a setting fails with a message that begins so."""
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert str(caught.value).startswith(message)
    return True


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-1, "got -1"),
        (float("nan"), "got nan"),
        (10**400, "got a huge number"),
        (None, "got None"),
        (True, "got True"),
        ("fast", "got 'fast'"),
        (KEY, "got a string of 25 characters"),
        ([5], "got list"),
        (float, "got the class float"),
    ],
)
def test_refused_values_are_shown_but_never_long_strings(value: Any, shown: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Timeouts(read=value)

    message = f"read must be a finite number of seconds, above 0; {shown}"
    assert str(caught.value) == message


# --- rate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10", Rate(10)),
        ("2.5", Rate(2.5)),
        ("10/1s", Rate(10)),
        ("10/s", Rate(10)),
        ("10/1", Rate(10)),
        ("600/60s", Rate(600, per=60)),
        ("600/1m", Rate(600, per=60)),
        ("600/m", Rate(600, per=60)),
        ("3600/h", Rate(3600, per=3600)),
        (" 2.5 / 0.5s ", Rate(2.5, per=0.5)),
    ],
)
def test_rate_is_parsed_as_calls_per_time(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10/",
        "/1s",
        "/s",
        "ten/s",
        "10/1d",
        "-10",
        "-10/1s",
        "10/-1s",
        "1e3/s",
        "10/1s/1s",
        "10 1s",
        "10s",
    ],
)
def test_rate_in_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"such as 10/1s or 600/1m; got '{text}'"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "calls must be a finite number of calls, above 0"),
        ("0/1s", "calls must be a finite number of calls, above 0"),
        ("10/0s", "per must be a finite number of seconds, above 0"),
        ("10/0", "per must be a finite number of seconds, above 0"),
    ],
)
def test_rate_of_zero_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rate.parse(text)


@pytest.mark.parametrize("number", [0, -1, *NOT_FINITE, *NOT_NUMBERS])
def test_rate_needs_finite_numbers_above_zero(number: Any) -> None:
    assert refuses(lambda: Rate(number), "calls must be a finite number of calls, above 0; got ")
    assert refuses(
        lambda: Rate(1, per=number), "per must be a finite number of seconds, above 0; got "
    )


@pytest.mark.parametrize("burst", [0, -1, 0.5, True, "1"])
def test_rate_burst_is_a_number_of_calls_above_one(burst: Any) -> None:
    message = "burst must be a finite number of calls, 1 or more; got "
    assert refuses(lambda: Rate(10, burst=burst), message)


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.sampled_from("smh"))
def test_parsed_rate_is_the_one_written(calls: int, per: int, unit: str) -> None:
    seconds = per * {"s": 1, "m": 60, "h": 3600}[unit]

    assert Rate.parse(f"{calls}/{per}{unit}").per_second == calls / seconds


# --- timeouts and retry policy --------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Timeouts)])
@pytest.mark.parametrize("seconds", [0, -1, *NOT_FINITE, *NOT_NUMBERS])
def test_timeout_is_a_finite_number_of_seconds_above_zero(name: str, seconds: Any) -> None:
    message = f"{name} must be a finite number of seconds, above 0; got "
    assert refuses(lambda: Timeouts(**{name: seconds}), message)


SECONDS_OF_POLICY = [
    "max_total_delay",
    "backoff",
    "max_backoff",
    "settle_delay",
    "poll_interval",
    "poll_timeout",
    "resend_window",
]


@pytest.mark.parametrize("name", SECONDS_OF_POLICY)
@pytest.mark.parametrize("seconds", [-1, *NOT_FINITE, *NOT_NUMBERS])
def test_retry_policy_times_are_finite_numbers_of_seconds(name: str, seconds: Any) -> None:
    message = f"{name} must be a finite number of seconds, 0 or more; got "
    assert refuses(lambda: RetryPolicy(**{name: seconds}), message)
    assert getattr(RetryPolicy(**{name: 0}), name) == 0


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "3", None])
def test_retry_policy_attempts_are_a_whole_number(attempts: Any) -> None:
    message = "attempts must be a whole number of attempts, 1 or more; got "
    assert refuses(lambda: RetryPolicy(attempts=attempts), message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reconcile", 1, "reconcile must be True or False; got 1"),
        ("retry_unrecognised", "no", "retry_unrecognised must be True or False; got 'no'"),
        ("resend", "never", "resend must be Resend.AFTER_SETTLING or Resend.NEVER; got 'never'"),
    ],
)
def test_retry_policy_switches_are_checked(name: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        RetryPolicy(**{name: value})


def test_retry_policy_never_sends_once_and_neither_looks_up_nor_polls() -> None:
    policy = RetryPolicy.never()

    assert (policy.attempts, policy.reconcile, policy.poll_timeout) == (1, False, 0)


def test_order_is_waited_for_longer_than_anything_else() -> None:
    timeouts = Timeouts()

    assert timeouts.total > timeouts.create > timeouts.read
    # ClickPost asks for at least 8 s before an order is given up.
    assert timeouts.create >= 30


# --- hosts --------------------------------------------------------------------------------------


def test_each_group_of_endpoints_has_its_host() -> None:
    assert {host: Hosts().base(host) for host in Host} == {
        Host.MAIN: "https://www.clickpost.in/api",
        Host.TRACKING: "https://api.clickpost.in/api",
        Host.SERVICEABILITY: "https://serviceability.clickpost.in/api",
        Host.PREDICTION: "https://ds.clickpost.in/api",
        Host.PROOF: "https://api.clickpost.in",
    }


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/api",
        "http://127.9.9.9/api",
        "http://localhost:8000/api",
        "http://[::1]:8000/api",
        "https://proxy.example.com/clickpost",
        "https://proxy.example.com:8443",
        "HTTPS://PROXY.EXAMPLE.COM/api",
    ],
)
def test_every_group_can_be_sent_to_one_base(url: str) -> None:
    hosts = Hosts.at(url)

    assert {hosts.base(host) for host in Host} == {url}


def test_trailing_slash_is_taken_off() -> None:
    assert Hosts.at("https://proxy.example.com/api/").main == "https://proxy.example.com/api"


@pytest.mark.parametrize(
    "url",
    [
        "http://www.clickpost.in/api",
        "http://192.168.0.1/api",
        "http://10.0.0.1/api",
        "http://0.0.0.0/api",
        "http://localhost.example.com/api",
        "http://127.0.0.1.example.com/api",
        "http://2130706433/api",
        "http://[::2]/api",
        "ftp://127.0.0.1/api",
        "ws://127.0.0.1/api",
    ],
)
def test_key_never_travels_in_the_open(url: str) -> None:
    with pytest.raises(ValueError, match="https is needed, since the key travels in every URL"):
        Hosts.at(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user@proxy.example.com/api",
        "https://user:word@proxy.example.com/api",
        "https://@proxy.example.com/api",
        "https://proxy.example.com/api?x=1",
        "https://proxy.example.com/api?",
        "https://proxy.example.com/api#part",
        "https://proxy.example.com/api#",
        "http://127.0.0.1@example.com/api",
        "https://",
        "https:///api",
        "proxy.example.com",
        "//127.0.0.1/api",
        "",
    ],
)
def test_base_is_scheme_host_and_path(url: str) -> None:
    with pytest.raises(ValueError, match="url must be scheme, host and path only"):
        Hosts.at(url)


SANDBOX = "http://sandbox:8000"


def test_container_is_called_in_plain_http_behind_a_switch_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        ValueError, match=r"https is needed.*: sandbox:8000 is called in plain http"
    ) as caught:
        Hosts.at(SANDBOX)
    assert "Hosts.at(url, allow_http=True)" in str(caught.value)
    assert "CLICKPOST_ALLOW_HTTP=1" in str(caught.value)

    assert Hosts.at(SANDBOX, allow_http=True).main == SANDBOX
    assert Hosts(tracking=SANDBOX, allow_http=True).tracking == SANDBOX

    monkeypatch.setenv("CLICKPOST_ALLOW_HTTP", "1")
    assert Hosts.at(SANDBOX).main == SANDBOX
    assert resolve_hosts(SANDBOX, None).main == SANDBOX
    monkeypatch.setenv("CLICKPOST_BASE_URL", SANDBOX)
    assert resolve_hosts(None, None).main == SANDBOX


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_switch_that_is_off_allows_nothing(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKPOST_ALLOW_HTTP", value)

    with pytest.raises(ValueError, match="https is needed"):
        Hosts.at(SANDBOX)
    with pytest.raises(ValueError, match="https is needed"):
        resolve_hosts(SANDBOX, None)


def test_no_switch_takes_another_protocol() -> None:
    with pytest.raises(ValueError, match=r"https is needed.*, not ftp"):
        Hosts.at("ftp://sandbox:8000", allow_http=True)


@pytest.mark.parametrize(
    "url", ["https://exa mple.com/api", "https://exa\nmple.com", "https://host:port/", "https://[x"]
)
def test_base_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Hosts.at(url)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"main": 5}, "main must be a base URL, such as https://www.clickpost.in/api; got int"),
        ({"allow_http": "no"}, "allow_http must be True or False; got 'no'"),
        (
            {"files": "labels.example"},
            'files must be a list of domains, such as ["labels.example"]',
        ),
    ],
)
def test_hosts_of_the_wrong_type_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Hosts(**settings)


def test_base_url_and_hosts_together_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"base_url and hosts are both given: .*pass one of the two"
    ):
        resolve_hosts("https://proxy.example.com/api", Hosts())


def test_one_group_may_be_sent_elsewhere() -> None:
    hosts = Hosts(tracking="https://proxy.example.com/api")

    assert hosts.base(Host.TRACKING) == "https://proxy.example.com/api"
    assert hosts.base(Host.MAIN) == "https://www.clickpost.in/api"


# --- the rest -----------------------------------------------------------------------------------


def test_bulk_run_yields_to_all_other_calls() -> None:
    assert sorted([Priority.BULK, Priority.NORMAL]) == [Priority.NORMAL, Priority.BULK]


def test_there_are_two_ways_to_write_a_body() -> None:
    assert [style.value for style in BodyStyle] == ["plain", "raw_body"]


@pytest.mark.parametrize(
    "setting", [Rate(10), Timeouts(), Hosts(), resolve_credentials("acme", KEY)]
)
def test_setting_is_frozen(setting: Any) -> None:
    name = attrs.fields(type(setting))[0].name

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(setting, name, "other")
