"""Run every mutant of the list against the tests that concern it: `python -m tests.mutants`.

The checkout is not changed: each of the processes works in a copy of it. Exits with 0 when enough
mutants were killed and each survivor is explained, with 1 when not, with 2 when the list is stale
or the tests fail without a mutant too.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen

from tests.mutants.catalogue import ROOT, Mutant, StaleMutantError, load

THRESHOLD = 97.0

# A mutant that makes a test hang is given up after so many seconds, and as many times what the
# tests take without a mutant.
_LIMIT = 30.0
_TIMES = 5.0

_COPIED = ("clickpost_async", "tests", "docs", "pyproject.toml", "README.md")
_PYTEST = (
    *("-m", "pytest", "--exitfirst", "--quiet", "--no-header", "--tb=line"),
    # Only what the tests need is loaded: that halves the time until the first of them runs.
    *("-p", "tests.mutants.plugin", "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider"),
)
_PASSED, _FAILED = 0, 1


class BrokenRunError(Exception):
    """A run of pytest that says nothing about a mutant."""


@frozen
class Result:
    """The result of a mutant."""

    mutant: Mutant
    line: int
    killed_by: str | None
    seconds: float

    @property
    def verdict(self) -> str:
        """One word for it."""
        if self.killed_by is not None:
            return "killed"
        return "equivalent" if self.mutant.equivalent else "SURVIVED"

    def __str__(self) -> str:
        where = f"{self.mutant.module}:{self.line}"
        by = f"  [{self.killed_by}]" if self.killed_by else ""
        return f"{self.verdict:10} {self.seconds:5.1f} s  {where}  {self.mutant.title}{by}"


@define
class Copy:
    """A copy of the checkout, in which one mutant at a time is alive."""

    root: Path
    # Seconds that tests take without a mutant.
    baselines: dict[tuple[str, ...], float] = field(factory=dict)
    # What tests say that fail without a mutant.
    broken: dict[tuple[str, ...], str] = field(factory=dict)

    @classmethod
    def make(cls, home: Path) -> "Copy":
        """Copy the checkout."""
        root = home / "tree"
        root.mkdir(parents=True)
        skipped = shutil.ignore_patterns("__pycache__", ".*")
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=skipped)
            else:
                shutil.copy(source, root / name)
        return cls(root)

    async def test(self, mutant: Mutant) -> Result:
        """Run the tests that concern a mutant on the changed code."""
        baseline = await self._baseline(mutant.tests)
        path = self.root / mutant.module
        source = path.read_text("utf-8")
        began = time.monotonic()
        try:
            _write(path, mutant.apply(source))
            status, output = await self._run_tests(mutant.tests, _LIMIT + _TIMES * baseline)
        finally:
            _write(path, source)
        if status not in (_PASSED, _FAILED, None):
            message = f"pytest ended with {status} on {mutant.module}: {mutant.title}\n{output}"
            raise BrokenRunError(message)
        killed_by = None if status == _PASSED else _failed_test(output) if status else "time limit"
        return Result(mutant, mutant.line(source), killed_by, time.monotonic() - began)

    async def _baseline(self, tests: tuple[str, ...]) -> float:
        if tests not in self.baselines:
            began = time.monotonic()
            status, output = await self._run_tests(tests, 600)
            self.baselines[tests] = time.monotonic() - began
            if status != _PASSED:
                self.broken[tests] = f"without a mutant these fail too: {' '.join(tests)}\n{output}"
        if tests in self.broken:
            raise BrokenRunError(self.broken[tests])
        return self.baselines[tests]

    async def _run_tests(self, tests: Iterable[str], limit: float) -> tuple[int | None, str]:
        """Return pytest's exit status, `None` if it had to be stopped, and what it printed."""
        scratch = self.root.parent / "scratch"
        output = self.root.parent / "output"
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
        }
        with output.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_PYTEST, f"--basetemp={scratch}", *tests),
                cwd=self.root,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(limit):
                    await process.wait()
                status = process.returncode
            except TimeoutError:
                status = None
            finally:
                # With whatever the tests have started.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return status, output.read_text("utf-8", "replace")


def _write(path: Path, source: str) -> None:
    path.write_text(source, "utf-8")
    # Bytecode is distinguished by seconds and size only, which two mutants may share.
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _failed_test(output: str) -> str:
    failures = [
        line for line in output.splitlines() if line.startswith(("FAILED tests/", "ERROR tests/"))
    ]
    return failures[0].split(" - ")[0].split(" ", 1)[1] if failures else "a test"


@define
class Run:
    """Tests mutants, so many at a time, and prints what becomes of each."""

    mutants: Sequence[Mutant]
    results: dict[Mutant, Result] = field(factory=dict)
    # What went wrong, and how many mutants it concerns.
    broken: Counter[str] = field(factory=Counter)

    async def work(self, jobs: int, home: Path) -> None:
        """Test them all; those of the same tests follow each other."""
        queue = sorted(self.mutants, key=lambda mutant: mutant.tests, reverse=True)

        async def work(copy: Copy) -> None:
            while queue:
                mutant = queue.pop()
                try:
                    self.results[mutant] = result = await copy.test(mutant)
                    print(result, flush=True)
                except BrokenRunError as error:
                    if not self.broken[str(error)]:
                        print(error, flush=True)
                    self.broken[str(error)] += 1

        await asyncio.gather(*(work(Copy.make(home / str(number))) for number in range(jobs)))

    def in_order(self) -> list[Result]:
        """Return the results in the order of the list."""
        return [self.results[mutant] for mutant in self.mutants if mutant in self.results]


def _table(results: Sequence[Result]) -> str:
    """Return the results as Markdown: by module, then each survivor."""
    lines = ["| module | mutants | killed |", "| --- | --- | --- |"]
    modules = Counter(result.mutant.module for result in results)
    killed = Counter(result.mutant.module for result in results if result.killed_by)
    lines += [f"| {module} | {count} | {killed[module]} |" for module, count in modules.items()]
    lines += ["", "| survivor | why no test can notice it |", "| --- | --- |"]
    lines += [
        f"| {result.mutant.module}: `{_escape(result.mutant.title)}` |"
        f" {result.mutant.equivalent or '**none does**: ' + result.mutant.harm} |"
        for result in results
        if not result.killed_by
    ]
    return "\n".join(lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose module or change has a word")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments select, print the table, and return the exit status."""
    options = _arguments(arguments)
    mutants = [
        mutant
        for mutant in load()
        if not options.words
        or any(word in f"{mutant.module} {mutant.title}" for word in options.words)
    ]
    if not mutants:
        print("no mutant has any of these words")
        return 2
    try:
        for mutant in mutants:
            mutant.locate((ROOT / mutant.module).read_text("utf-8"))
    except StaleMutantError as error:
        print(error)
        return 2
    run = Run(mutants)
    with tempfile.TemporaryDirectory(prefix="mutants-") as home:
        asyncio.run(run.work(options.jobs, Path(home)))
    return _judge(run)


def _judge(run: Run) -> int:
    results = run.in_order()
    print("", _table(results), "", *run.broken, sep="\n")
    killed = sum(result.killed_by is not None for result in results)
    rate = 100 * killed / max(len(results), 1)
    wrong = [result for result in results if result.mutant.equivalent and result.killed_by]
    unexplained = [result for result in results if result.verdict == "SURVIVED"]
    for result in wrong:
        print(f"is no equivalent, since a test notices it: {result}")
    print(
        f"{killed} of {len(results)} mutants killed: {rate:.1f} %, at least {THRESHOLD:g} % are"
        f" needed; {len(unexplained)} survivors without an explanation;"
        f" {run.broken.total()} failed to run"
    )
    if run.broken:
        return 2
    return int(bool(wrong or unexplained) or rate < THRESHOLD)


if __name__ == "__main__":
    with suppress(AttributeError):
        os.nice(5)
    sys.exit(main())
