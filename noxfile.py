"""Everything that is run: `nox`, or `python3 noxfile.py tests` where there is only Python.

Where nox is missing, the foot of this file makes a private environment with nox in it, with the
standard library alone, and goes on there.
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
        """Run the main job: a file of orders becomes waybills, at a sandbox of its own."""
        session.install("-e", ".[demo]")
        session.run("python", "-m", "clickpost_async", "demo", *session.posargs)

    @nox.session
    def tests(session: nox.Session) -> None:
        """Run all tests on the Python that nox runs on."""
        _run_tests(session)

    @nox.session(python=OTHER_PYTHONS)
    def tests_all(session: nox.Session) -> None:
        """Run all tests on every other supported Python that is there."""
        _run_tests(session)

    @nox.session
    def quick(session: nox.Session) -> None:
        """Run the tests that need no server, browser or process."""
        session.install("-e", ".[tests]")
        slow = [f"--ignore-glob=tests/{name}" for name in _SLOW]
        session.run("python", "-m", "pytest", *_AT_ONCE, *slow, *session.posargs)

    @nox.session
    def windows_rehearsal(session: nox.Session) -> None:
        """Run the client, a bulk run and the command line without what Windows lacks."""
        session.install("-e", ".[tests]")
        rehearsal = "tests/environments/test_windows.py"
        session.run("python", "-m", "pytest", "-v", rehearsal, *session.posargs)

    @nox.session
    def tracers(session: nox.Session) -> None:
        """Look for the key in what tracers export that bring too much along for `tests`."""
        session.install("-e", ".[tests]", "logfire", "ddtrace")
        # They have plugins for pytest, which trace every test.
        quiet = ["-p", "no:ddtrace", "-p", "no:logfire", "-p", "no:pytest_logfire"]
        canary = "tests/environments/test_canary.py"
        session.run("python", "-m", "pytest", *quiet, canary, "-k", "logfire or ddtrace")

    def _run_tests(session: nox.Session) -> None:
        session.install("-e", ".[tests]")
        session.run("python", "-m", "pytest", *(session.posargs or _AT_ONCE))

    @nox.session
    def cover(session: nox.Session) -> None:
        """Run all tests and show which branches they leave out."""
        session.install("-e", ".[tests]")
        session.run("coverage", "run", "-m", "pytest", *session.posargs)
        session.run("coverage", "report")

    @nox.session
    def mutants(session: nox.Session) -> None:
        """Make each change of a fixed list, and see that a test notices; for some 15 minutes."""
        session.install("-e", ".[tests]")
        session.run("python", "-m", "tests.mutants", *session.posargs)

    @nox.session
    def lint(session: nox.Session) -> None:
        """Check style, format, and which floor imports which."""
        session.install(*nox.project.dependency_groups(PROJECT, "lint"))
        session.run("ruff", "check")
        session.run("ruff", "format", "--check")
        session.run("lint-imports")

    @nox.session
    def types(session: nox.Session) -> None:
        """Check types with the two checkers that users run, and that nothing public is without."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "types"))
        session.run("mypy")
        session.run("pyright")
        session.run("pyright", "--verifytypes", "clickpost_async", "--ignoreexternal")

    @nox.session
    def bare(session: nox.Session) -> None:
        """Import the core with its own dependencies alone; the rooms say what they need."""
        session.install(".")
        session.run("python", "-I", "-c", _BARE)

    @nox.session
    def docs(session: nox.Session) -> None:
        """Build the documentation; a warning, such as a link to nowhere, is an error."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "docs"))
        out = Path(session.create_tmp()) / "html"
        shutil.rmtree(out, ignore_errors=True)
        strict = ("--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env")
        session.run("sphinx-build", *strict, "--quiet", *session.posargs, "docs", str(out))
        session.log(f"the first page is {out / 'index.html'}")

    @nox.session
    def bench(session: nox.Session) -> None:
        """Measure it beside its peers, for 25 minutes; with `-- --quick` see that it all runs."""
        session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "bench"))
        session.run("python", "-m", "benchmarks", *session.posargs)

    @nox.session
    def build(session: nox.Session) -> None:
        """Build the wheel by way of the source archive, and look at what is in it."""
        session.install("build")
        out = Path(session.create_tmp()) / "dist"
        shutil.rmtree(out, ignore_errors=True)
        session.run("python", "-m", "build", "--outdir", str(out), silent=True)
        [wheel] = out.glob("*.whl")
        packed = set(zipfile.ZipFile(wheel).namelist())
        package = {name for name in packed if ".dist-info/" not in name}
        ours = _package_files()
        if package != ours:
            session.error(f"in the wheel or in the checkout alone: {sorted(package ^ ours)}")
        session.log(f"{wheel.name} holds all {len(package)} files of the package, and only them")

    def _package_files() -> set[str]:
        files = (path for path in (HERE / "clickpost_async").rglob("*") if path.is_file())
        names = (path.relative_to(HERE) for path in files)
        caches = ("__pycache__", ".")
        return {n.as_posix() for n in names if not any(p.startswith(caches) for p in n.parts)}


_AT_ONCE = ("--numprocesses=auto", "--maxprocesses=8")
# What starts servers, browsers and processes, or plays for minutes.
_SLOW = (
    *("docs", "environments", "faults", "fleet", "concurrency", "test_benchmarks.py"),
    *("bulk/test_crash.py", "bulk/test_kills.py", "cli", "integrations", "limits/test_redis.py"),
    *("limits/test_shared.py", "sandbox/test_page*", "sandbox/test_serve.py"),
)

_BARE = """
import importlib, pkgutil
import clickpost_async

rooms = ("__main__", "cli", "integrations.opentelemetry", "labels", "limits.redis", "sandbox")
rooms = (*rooms, "testing.fixtures", "fleet", "integrations.taskiq", "_http.httptools_connection")
rooms = (*rooms, "integrations.django", "integrations.litestar", "integrations.starlette")
rooms = {f"clickpost_async.{room}" for room in rooms}
for module in pkgutil.walk_packages(clickpost_async.__path__, "clickpost_async."):
    if "__pyinstaller" in module.name:
        continue  # PyInstaller's own process runs it
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        if module.name not in rooms or "pip install" not in str(error):
            raise
        rooms.remove(module.name)
assert not rooms, f"imported with nothing but the core: {rooms}"
print("the core needs only its own dependencies, and the rooms say what they need")
"""


def _bootstrap(arguments: list[str]) -> int:
    """Run nox in an environment of its own: `noxfile.py tests -x` is `nox -s tests -- -x`."""
    version = ".".join(map(str, sys.version_info[:2]))
    home = HERE / ".nox" / f".bootstrap-{version}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (python.exists() and _runs([python, "-c", "import nox"], quiet=True)):
        print("making a private environment in", home, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        if not _runs([sys.executable, "-m", "venv", home]):
            return _fail("Python's venv does not work; on Debian: apt install python3-venv")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        if not _runs([*pip, "install", "nox"]):
            return _fail("nox could not be installed; is a package index in reach?")
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
