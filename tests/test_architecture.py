"""The architecture: public names, layers, and the contents of the package."""

import ast
import importlib
import inspect
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import attrs
import pytest

import clickpost_async
from clickpost_async import structures
from clickpost_async.endpoints import CATALOG
from clickpost_async.structures import Structure

PACKAGE = Path(clickpost_async.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = (
    "bulk",
    "cli",
    "drift",
    "fleet",
    "integrations",
    "labels",
    "sandbox",
    "testing",
    "webhooks",
)
OPTIONAL_LIBRARIES = tuple(
    "cyclopts django jinja2 litestar opentelemetry pypdf redis reportlab rich starlette taskiq"  # noqa: SIM905
    " uvicorn".split()
)

# --- what is public -----------------------------------------------------------------------------

SURFACE = {
    "clickpost_async": """
        Auth BodyStyle BusyCourierError ClickPost ClickPostError CourierError CredentialsError
        DeadlineError Get Host Hosts Idempotency IndiaOrder InvalidRequestError NoReplyError
        NotSentError Outcome Post Priority Problem Rate RefusedError ResponseInfo RetryPolicy
        ServerError ThrottledError Timeouts UnreadableReplyError WorldOrder structure unstructure
    """,
    "clickpost_async.bulk": "OrderOutcome Pending Placed Rejected Unknown create",
    "clickpost_async.endpoints": "CATALOG",
    "clickpost_async.errors": """
        BusyCourierError ClickPostError CourierError CredentialsError DeadlineError
        InvalidRequestError NoReplyError NotSentError Outcome Problem RefusedError ServerError
        ThrottledError UnreadableReplyError
    """,
    "clickpost_async.integrations.django": """
        CacheEventStore ErrorMiddleware clickpost_health get_clickpost health webhook
    """,
    "clickpost_async.integrations.litestar": "handle_error get_clickpost lifespan webhook",
    "clickpost_async.integrations.opentelemetry": "OpenTelemetry",
    "clickpost_async.integrations.starlette": """
        handle_error clickpost_health get_clickpost health lifespan webhook
    """,
    "clickpost_async.limits": "Limiter TokenBucket",
    "clickpost_async.limits.redis": "RedisBucket",
    "clickpost_async.sandbox": "Sandbox",
    "clickpost_async.structures": """
        CartaPorte ChildItem ChildShipment CourierCustomFields CreatedOrder CustomField
        FetchedOrder GstInfo IndiaAdditional IndiaDrop IndiaOrder IndiaPickup IndiaReturn
        IndiaShipment Item ItemDetails Order RequestModel Reseller ResponseInfo ResponseModel
        TaxInfo UserDefinedField
        WorldAdditional WorldDrop WorldOrder WorldPickup WorldReturn WorldShipment
    """,
}

OPERATIONS = {
    "orders.create": ["order"],
    "orders.create_india": ["order"],
    "orders.create_world": ["order"],
    "orders.create_b2b": ["order"],
    "orders.find_b2b": ["reference_number"],
    "orders.fetch_india": ["waybill", "courier_partner"],
    "orders.fetch_world": ["waybill", "courier_partner"],
    "orders.find_india": ["reference_number"],
    "orders.find_world": ["reference_number"],
}


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in SURFACE.items() for name in names.split()],
)
def test_public_names_are_importable(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


def test_lazy_exports_match_those_of_type_checkers() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    found = {
        alias.name: str(node.module).removeprefix("clickpost_async.")
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert found == clickpost_async._MODULE_OF
    assert set(found) <= set(dir(clickpost_async))


def test_star_import_loads_every_public_name() -> None:
    script = "from clickpost_async import *; print(*globals())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert set(SURFACE["clickpost_async"].split()) <= set(done.stdout.decode().split())


def test_module_need_not_be_imported_by_name() -> None:
    script = """
import clickpost_async
print(clickpost_async.errors.NotSentError.__name__, clickpost_async.limits.TokenBucket.__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert done.stdout == b"NotSentError TokenBucket\n"


def test_client_loads_nothing_more_when_a_call_fails() -> None:
    script = """
import asyncio, sys
from clickpost_async import ClickPost, RetryPolicy

async def main():
    base = "http://127.0.0.1:9/api"
    policy = RetryPolicy(attempts=2, backoff=0.0)
    async with ClickPost("acme", "not-a-real-key", base_url=base, retry=policy) as one:
        couriers = one.couriers
        loaded = {name.partition(".")[0] for name in sys.modules}
        try:
            await couriers.pincode("110001")
        except Exception as error:
            more = {name.partition(".")[0] for name in sys.modules} - loaded
            print(error.attempts, sorted(more))

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert done.stdout == b"2 []\n", done.stderr


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clickpost'"):
        clickpost_async.Clickpost  # noqa: B018


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operation_is_a_coroutine_with_the_documented_parameters(name: str) -> None:
    namespace, method = name.split(".")
    client = clickpost_async.ClickPost("acme", "not-a-real-key")

    coroutine = getattr(getattr(client, namespace), method)

    assert inspect.iscoroutinefunction(coroutine)
    assert list(inspect.signature(coroutine).parameters) == OPERATIONS[name]


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_endpoint_of_the_catalog_is_a_method_of_the_client(name: str) -> None:
    namespace, method = name.split(".")
    client = clickpost_async.ClickPost("acme", "not-a-real-key")

    coroutine = getattr(getattr(client, namespace), method)

    assert inspect.iscoroutinefunction(coroutine)
    assert (coroutine.__doc__ or "").strip()


def test_client_takes_the_documented_settings() -> None:
    documented = (
        "username api_key base_url hosts rate limiter retry timeouts max_concurrency body_style"
        " transport observers"
    )

    assert list(inspect.signature(clickpost_async.ClickPost).parameters) == documented.split()


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in (getattr(structures, name) for name in dir(structures))
        if isinstance(kind, type) and issubclass(kind, Structure)
    ],
)
def test_every_structure_is_a_frozen_class_of_keywords(kind: type[Structure]) -> None:
    parameters = inspect.signature(kind).parameters.values()

    assert kind.__setattr__ is not object.__setattr__
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert "extra" in {attribute.name for attribute in attrs.fields(kind)}
    assert (kind.__doc__ or "").strip()


def test_every_structure_of_a_module_is_exported() -> None:
    defined = {
        kind.__name__
        for path in (PACKAGE / "structures").glob("[a-z]*.py")
        for kind in vars(
            importlib.import_module(f"clickpost_async.structures.{path.stem}")
        ).values()
        if isinstance(kind, type) and issubclass(kind, Structure)
    }

    assert {name for name in defined if not name.startswith("_")} <= set(dir(structures))


# --- floors -------------------------------------------------------------------------------------


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Return the name of every module that a file imports, wherever in it."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_codec_structures_and_endpoints_do_no_input_or_output() -> None:
    machines = ("anyio", "asyncio", "httpcore", "httpx", "socket", "ssl", "tenacity", "trio")

    assert [
        f"{place(path)}: {name}"
        for path in MODULES
        if place(path).startswith(("_codec/", "structures/", "endpoints/"))
        for name in imported(path)
        if within(name, *machines)
    ] == []


def test_core_imports_no_optional_package_and_none_of_their_libraries() -> None:
    command_line = "clickpost_async.cli"
    packages = [f"clickpost_async.{name}" for name in OPTIONAL]

    assert [
        f"{place(path)}: {name}"
        for path in MODULES
        if place(path) != "limits/redis.py"
        and place(path).split("/")[0].removesuffix(".py") not in OPTIONAL
        for name in imported(path)
        if within(name, *packages, *OPTIONAL_LIBRARIES)
        and not (place(path) == "__main__.py" and within(name, command_line))
    ] == []


def test_init_exports_names_unchanged() -> None:
    assert [
        f"{place(path)}: {alias.name} as {alias.asname}"
        for path in MODULES
        if path.name == "__init__.py"
        for node in parse(path).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clickpost_async.")
        for alias in node.names
        if alias.asname not in (None, alias.name)
    ] == []


def test_every_module_has_a_docstring() -> None:
    assert [place(path) for path in MODULES if not ast.get_docstring(parse(path))] == []


# --- these tests -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["192.0.2.1", "clickpost.invalid"])
def test_only_loopback_addresses_can_be_called(host: str) -> None:
    with pytest.raises(AssertionError, match="only loopback addresses are allowed"):
        socket.create_connection((host, 443), timeout=0.1)


# --- the package --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "files/orders.csv",
        "fleet/ledger.lua",
        "limits/token_bucket.lua",
        "sandbox/page/page.js",
    ],
)
def test_package_contains_its_data_files(name: str) -> None:
    assert resources.files("clickpost_async").joinpath(name).is_file()


_QUICK = """
import sys
import clickpost_async
names = "aiohttp certifi h11 httpcore httpcore2 httptools httpx httpx2".split()
print(*(name for name in names if name in sys.modules))
clickpost_async.ClickPost("acme", "not-a-real-key")
print(*(name for name in names if name in sys.modules))
"""


def test_no_http_library_is_loaded_before_there_is_a_client_and_then_only_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _QUICK],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )

    assert done.stdout.splitlines() == ["", "certifi h11 httpcore"]


_ALONE = """
import sys
import clickpost_async
import clickpost_async.bulk, clickpost_async.endpoints, clickpost_async.limits
packages, libraries = (set(words.split(",")) for words in sys.argv[1:])
names = [name.split(".") for name in sys.modules]
# httpx itself loads rich where it finds it
print(*sorted({name[0] for name in names} & libraries - {"rich"}))
print(*sorted({name[1] for name in names if name[0] == "clickpost_async" and name[1:]} & packages))
for library in libraries:
    sys.modules[library] = None
for room in ("sandbox", "cli", "limits.redis"):
    try:
        __import__("clickpost_async." + room)
    except ImportError as error:
        print(room, "pip install" in str(error))
"""


def test_core_loads_no_optional_package_and_each_names_its_extra() -> None:
    packages = ",".join({*OPTIONAL} - {"bulk"})
    libraries = ",".join((*OPTIONAL_LIBRARIES, "cattrs"))

    done = subprocess.run(
        [sys.executable, "-c", _ALONE, packages, libraries],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )

    assert done.stdout.splitlines() == ["", "", "sandbox True", "cli True", "limits.redis True"]


def test_slow_tests_that_a_quick_run_omits_exist() -> None:
    omitted = [
        name.value
        for node in ast.parse((PACKAGE.parent / "noxfile.py").read_text("utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_SLOW"
        for name in ast.walk(node.value)
        if isinstance(name, ast.Constant)
    ]

    assert omitted
    assert [name for name in omitted if not any((PACKAGE.parent / "tests").glob(name))] == []


@pytest.mark.parametrize(
    "page",
    [
        "CONTRIBUTING.md",
        "docs/topics/architecture.md",
        "docs/topics/scale.md",
        "tests/README.md",
        "tests/faults/README.md",
        "tests/simulation/README.md",
    ],
)
def test_tests_that_a_page_names_exist(page: str) -> None:
    root = PACKAGE.parent
    names = set(re.findall(r"`(test_\w+)`", (root / page).read_text("utf-8")))
    files = sorted((root / "tests").rglob("test_*.py"))
    defined = {
        name for file in files for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }

    assert sorted(names - defined) == []


@pytest.mark.parametrize(
    ("page", "folder"),
    [("docs/topics/architecture.md", PACKAGE), ("tests/README.md", PACKAGE.parent / "tests")],
)
def test_modules_that_a_table_names_exist(page: str, folder: Path) -> None:
    rows = [
        line
        for line in (PACKAGE.parent / page).read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    names = {name for row in rows for name in re.findall(r"`([\w*]+/[\w*/.]*|\w+\.py)`", row)}

    assert names
    assert [
        name
        for name in sorted(names)
        if not any(folder.glob(name)) and not (PACKAGE.parent / name).exists()
    ] == []
