"""Development tasks: run `nox`, or `python3 noxfile.py tests` without nox.

Without nox, the end of this file creates a private environment with nox in it, using the standard
library only, and runs the task there.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(
        "clickpost_async needs Python 3.11 or newer, and this is "
        + sys.version.split()[0]
        + ": try `python3.13 noxfile.py`, or `uvx --python 3.13 nox`"
    )

HERE = Path(__file__).resolve().parent
# The tests start hundreds of processes, each of which would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

try:
    import nox
except ModuleNotFoundError:
    nox = None

if nox:
    PROJECT = nox.project.load_toml(HERE / "pyproject.toml")
    HERE_RUNS = f"{sys.version_info[0]}.{sys.version_info[1]}"
    OTHER_PYTHONS = [v for v in nox.project.python_versions(PROJECT) if v != HERE_RUNS]

    nox.options.default_venv_backend = "uv|virtualenv"
    nox.options.download_python = "never"
    nox.options.error_on_missing_interpreters = False
    nox.options.reuse_venv = "yes"
    nox.options.sessions = [*("lint", "types", "tests_all", "bare", "docs", "build")]

    @nox.session
    def demo(session: nox.Session) -> None:
        """Run the demo: create the orders of a file at a local sandbox."""
        session.install("-e", ".[demo]")
        session.run("python", "-m", "clickpost_async", "demo", *session.posargs)
        session.log(f"for the command `clickpost`: . {os.path.relpath(session.bin)}/activate")

    @nox.session
    def tests(session: nox.Session) -> None:
        """Run all tests on the Python version that runs nox."""
        _run_tests(session)

    @nox.session(python=OTHER_PYTHONS)
    def tests_all(session: nox.Session) -> None:
        """Run the tests on every other supported Python version that is installed.

        Without those that do not depend on the version: of texts, and of the page in a browser.
        """
        _run_tests(session, *(f"--ignore-glob=tests/{name}" for name in _ONCE))

    @nox.session
    def quick(session: nox.Session) -> None:
        """Run the tests that need no server, browser or process."""
        session.install("-e", ".[tests]")
        slow = [f"--ignore-glob=tests/{name}" for name in _SLOW]
        session.run("python", "-m", "pytest", *_AT_ONCE, *slow, *session.posargs)

    @nox.session
    def windows_rehearsal(session: nox.Session) -> None:
        """Run the client, a bulk run and the command line without features that Windows lacks."""
        session.install("-e", ".[tests]")
        rehearsal = "tests/environments/test_windows.py"
        session.run("python", "-m", "pytest", "-v", rehearsal, *session.posargs)

    @nox.session
    def tracers(session: nox.Session) -> None:
        """Check that tracers with many dependencies, which `tests` omits, do not export the key."""
        session.install("-e", ".[tests]", "logfire", "ddtrace")
        # Their pytest plugins would trace every test.
        quiet = ["-p", "no:ddtrace", "-p", "no:logfire", "-p", "no:pytest_logfire"]
        canary = "tests/environments/test_canary.py"
        session.run("python", "-m", "pytest", *quiet, canary, "-k", "logfire or ddtrace")

    def _run_tests(session: nox.Session, *options: str) -> None:
        session.install("-e", ".[tests]")
        _install_programs(session)
        session.run("python", "-m", "pytest", *(session.posargs or (*_AT_ONCE, *options)))

    def _install_programs(session: nox.Session) -> None:
        """Install what tests start, as root on Debian; else the tests that need it are skipped."""
        missing = [package for program, package in _PROGRAMS.items() if not _is_installed(program)]
        if not missing:
            return
        if shutil.which("apt-get") and os.geteuid() == 0:
            session.run("apt-get", "update", "-qq", external=True)
            install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
            session.run(
                *install, *missing, external=True, env={"DEBIAN_FRONTEND": "noninteractive"}
            )
        else:
            session.warn(f"tests that need these Debian packages are left out: {' '.join(missing)}")

    def _is_installed(program: str) -> bool:
        in_version = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
        return bool(shutil.which(program) or next(in_version, None))

    @nox.session
    def cover(session: nox.Session) -> None:
        """Run all tests and report branch coverage."""
        session.install("-e", ".[tests]")
        session.run("coverage", "run", "-m", "pytest", *session.posargs)
        session.run("coverage", "report")

    @nox.session
    def mutants(session: nox.Session) -> None:
        """Apply each mutant of a fixed list, and check that a test fails; takes 20 minutes."""
        session.install("-e", ".[tests]")
        session.run("python", "-m", "tests.mutants", *session.posargs)

    @nox.session
    def lint(session: nox.Session) -> None:
        """Check style, format, and the imports between layers."""
        session.install(*nox.project.dependency_groups(PROJECT, "lint"))
        session.run("ruff", "check")
        session.run("ruff", "format", "--check")
        session.run("lint-imports")

    @nox.session
    def types(session: nox.Session) -> None:
        """Check types with mypy and pyright, and that the public API is fully typed."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "types"))
        session.run("mypy")
        session.run("pyright")
        session.run("pyright", "--verifytypes", "clickpost_async", "--ignoreexternal")

    @nox.session
    def bare(session: nox.Session) -> None:
        """Import the core with its own dependencies only; optional packages name their extra."""
        session.install(".")
        session.run("python", "-I", "-c", _BARE)

    @nox.session
    def docs(session: nox.Session) -> None:
        """Build the documentation, and search it; a warning, such as a broken link, is an error."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "docs"))
        out = Path(session.create_tmp()) / "html"
        shutil.rmtree(out, ignore_errors=True)
        strict = ("--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env")
        session.run("sphinx-build", *strict, "--quiet", *session.posargs, "docs", str(out))
        session.run("python", "-m", "tests.docs.search", str(out))
        session.log(f"open {out / 'index.html'}")

    @nox.session
    def bench(session: nox.Session) -> None:
        """Run the benchmarks against other clients, 25 minutes; `-- --quick` is a short check."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "bench"))
        session.run("python", "-m", "benchmarks", *session.posargs)

    @nox.session
    def build(session: nox.Session) -> None:
        """Build the wheel from the source archive, and check which files are in it."""
        session.install("build")
        out = Path(session.create_tmp()) / "dist"
        shutil.rmtree(out, ignore_errors=True)
        session.run("python", "-m", "build", "--outdir", str(out), silent=True)
        [wheel] = out.glob("*.whl")
        packed = set(zipfile.ZipFile(wheel).namelist())
        package = {name for name in packed if ".dist-info/" not in name}
        ours = _package_files()
        if package != ours:
            session.error(f"only in the wheel or only in the checkout: {sorted(package ^ ours)}")
        session.log(f"{wheel.name} contains exactly the {len(package)} files of the package")

    def _package_files() -> set[str]:
        files = (path for path in (HERE / "clickpost_async").rglob("*") if path.is_file())
        names = (path.relative_to(HERE) for path in files)
        caches = ("__pycache__", ".")
        return {n.as_posix() for n in names if not any(p.startswith(caches) for p in n.parts)}


# One process more than there are cores, since some tests wait for other processes.
_AT_ONCE = (f"--numprocesses={min(8, (os.cpu_count() or 1) + 1)}", "--dist=worksteal")
_ONCE = ("mutants", "sandbox/test_page*", "test_benchmarks.py", "test_vocabulary.py")
# What some tests start, and the Debian packages that have it.
_PROGRAMS = {"chromium": "chromium", "postgres": "postgresql", "redis-server": "redis-server"}
# Tests that start servers, browsers and processes, or take many seconds. The rest takes one minute.
_SLOW = (
    *("cli", "docs", "environments", "faults", "fleet", "integrations", "simulation"),
    *("concurrency/test_cancellation.py", "concurrency/test_gather.py"),
    *("concurrency/test_loops.py", "concurrency/test_single_flight.py"),
    *("test_benchmarks.py", "test_examples.py", "test_fixtures.py"),
    *("test_mocking.py", "test_pyinstaller.py"),
    *("test_secrets.py", "bulk/test_outage.py"),
    *("bulk/test_journal.py", "bulk/test_process_*.py", "bulk/test_references.py"),
    *("bulk/test_stop.py", "http", "test_architecture.py", "test_programs.py"),
    *("limits/test_distributed.py", "limits/test_frozen_clock.py"),
    *("limits/test_redis.py", "limits/test_token_bucket.py"),
    *("sandbox/test_page*", "sandbox/test_server.py"),
)

_BARE = """
import importlib, pkgutil
import clickpost_async

optional = {
    "clickpost_async." + name
    for name in (
        *("cli", "fleet", "labels", "limits.redis", "sandbox", "testing.fixtures"),
        *("_http.httptools_connection", "integrations.django", "integrations.litestar"),
        *("integrations.opentelemetry", "integrations.starlette", "integrations.taskiq"),
        "integrations._order_broker",
    )
}
for module in pkgutil.walk_packages(clickpost_async.__path__, "clickpost_async."):
    if "__pyinstaller" in module.name or module.name == "clickpost_async.testing.plugin":
        continue  # imported by PyInstaller and by pytest only
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        if module.name not in optional or "pip install" not in str(error):
            raise
        optional.remove(module.name)
assert not optional, f"imported without their extra: {optional}"
print("the core imports with its own dependencies only; optional packages name their extra")
"""


def _bootstrap(arguments: list[str]) -> int:
    """Run nox in an environment of its own: `noxfile.py tests -x` is `nox -s tests -- -x`."""
    version = ".".join(map(str, sys.version_info[:2]))
    home = HERE / ".nox" / f".bootstrap-{version}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (python.exists() and _runs([python, "-c", "import nox"], quiet=True)):
        print("creating a private environment in", home, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        if not _runs([sys.executable, "-m", "venv", home]):
            return _fail("Python's venv does not work; on Debian: apt install python3-venv")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        if not _runs([*pip, "install", "nox"]):
            return _fail("nox could not be installed; check the connection to the package index")
    session = ["--session", arguments[0], "--", *arguments[1:]] if arguments else []
    command = [python, "-m", "nox", "--noxfile", HERE / "noxfile.py", *session]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130


def _runs(command: list[str | Path], *, quiet: bool = False) -> bool:
    return subprocess.run(command, check=False, capture_output=quiet).returncode == 0


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(_bootstrap(sys.argv[1:]))
