"""Run every fault test, and write the table of results: `python -m tests.make_fault_table`."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, NOT_PLAYED, Played, played

TABLE = Path(__file__).parent / "faults" / "README.md"
_HEAD = """# Fault-injection tests

Each fault of the catalogue, the tests that play it, and whether the client survived when this table
was made, by `python -m tests.make_fault_table`, which runs them all. *Controls* play the same with
the protection switched off, and pass when the harm is done. In brackets: how many variants.

| fault | what happens | tests | survived |
| --- | --- | --- | --- |
"""


class _Results:
    """The results of each test, by its name without parameters."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.partition("[")[0]
        if report.failed or report.skipped:
            self.failed[name] += 1
        elif report.when == "call":
            self.passed[name] += 1


def rows(results: _Results) -> Iterator[str]:
    tests: dict[str, list[Played]] = {fault: [] for fault in FAULTS}
    for one in played():
        tests[one.fault].append(one)
    for fault, words in FAULTS.items():
        if not tests[fault]:
            yield f"| {fault} | {words} | | not played: {NOT_PLAYED[fault]} |"
            continue
        names = [_shown(one, results) for one in sorted(tests[fault], key=lambda x: x.control)]
        well = all(results.passed[x.test] and not results.failed[x.test] for x in tests[fault])
        yield f"| {fault} | {words} | {'<br>'.join(names)} | {'yes' if well else '**no**'} |"


def _shown(one: Played, results: _Results) -> str:
    path, _, name = one.test.partition("::")
    variants = results.passed[one.test] + results.failed[one.test]
    kind = "control: " if one.control else ""
    many = f" ({variants})" if variants > 1 else ""
    return f"{kind}[`{name}`](../{path.removeprefix('tests/')}){many}"


def main() -> int:
    results = _Results()
    tests = sorted({one.test for one in played()})
    code = pytest.main(["-q", "-p", "no:randomly", *tests], plugins=[results])
    TABLE.write_text(_HEAD + "\n".join(rows(results)) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
