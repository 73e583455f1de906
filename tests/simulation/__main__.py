# ruff: noqa: T201 - it prints what it has found
"""Play many seeds, or one of them step by step.

python -m tests.simulation --seeds 10000 --processes 2
python -m tests.simulation --seed 12 --trace
python -m tests.simulation --protections
"""

import argparse
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.simulation.invariants import INVARIANTS
from tests.simulation.play import LATER, SCENARIOS, Job, Played, play, play_job
from tests.simulation.protections import PROTECTIONS

_MOST = 300


def _played(jobs: Sequence[Job], processes: int) -> Iterator[Played]:
    if processes <= 1:
        yield from map(play_job, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(play_job, jobs, chunksize=20)


def harm_of(name: str, seeds: Iterable[int]) -> int | None:
    """Return the first seed that finds the harm of a protection that is off, and not with it on."""
    invariants, scenario = PROTECTIONS[name].invariants, PROTECTIONS[name].scenario
    for seed in seeds:
        without = {each.invariant for each in play(seed, name, scenario).violations} & invariants
        if without and without - {each.invariant for each in play(seed, None, scenario).violations}:
            return seed
    return None


def _show_protections() -> int:
    missed = 0
    print("| protection | breaks | found by seed | scenario |\n| --- | --- | --- | --- |")
    for name, protection in PROTECTIONS.items():
        seed = harm_of(name, range(_MOST))
        missed += seed is None
        found = "not found" if seed is None else seed
        invariants, scenario = (
            ", ".join(sorted(protection.invariants)),
            protection.scenario or "any",
        )
        print(f"| {name} | {invariants} | {found} | {scenario} |", flush=True)
    return 1 if missed else 0


def _show_one(played: Played, *, trace: bool) -> int:
    if trace:
        print(*played.trace, sep="\n")
    for violation in played.violations:
        print(f"{violation}\n    {INVARIANTS[violation.invariant]}")
    print(
        f"seed {played.seed}, {played.scenario}: {played.seconds:.1f} s in {played.steps} steps,"
        f" {len(played.violations)} violations, fingerprint {played.fingerprint}"
    )
    return 1 if played.violations else 0


def _show_many(plays: Iterator[Played]) -> int:
    began = time.perf_counter()
    number = 0
    totals: dict[str, int] = defaultdict(int)
    found: dict[str, list[Played]] = defaultdict(list)
    for played in plays:
        number += 1
        for name, count in {**played.facts, "seconds": played.seconds}.items():
            totals[name] += round(count)
        for invariant in sorted({each.invariant for each in played.violations}):
            found[invariant].append(played)
    for invariant, those in sorted(found.items()):
        print(f"{invariant} ({len(those)} seeds): {INVARIANTS[invariant]}")
        for played in those[:3]:
            what = next(each.what for each in played.violations if each.invariant == invariant)
            print(f"    --seed {played.seed} ({played.scenario}): {what}")
    seconds = time.perf_counter() - began
    print(
        f"{number} seeds in {seconds:.0f} s, {seconds / max(number, 1) * 1000:.0f} ms each:"
        f" {len({one.seed for those in found.values() for one in those})} with violations; "
        + ", ".join(f"{count} {name}" for name, count in totals.items())
    )
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--trace", action="store_true", help="step by step")
    parser.add_argument(
        "--scenario", choices=sorted({**SCENARIOS, **LATER}), help="play nothing else"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--protection-off", choices=sorted(PROTECTIONS), metavar="NAME")
    parser.add_argument("--protections", action="store_true", help="look for the harm of each")
    given = parser.parse_args(arguments)
    if given.protections:
        return _show_protections()
    if given.seed is not None:
        played = play(given.seed, given.protection_off, given.scenario)
        return _show_one(played, trace=given.trace)
    seeds = range(given.first, given.first + given.seeds)
    jobs = [(seed, given.protection_off, given.scenario) for seed in seeds]
    return _show_many(_played(jobs, given.processes))


if __name__ == "__main__":
    sys.exit(main())
