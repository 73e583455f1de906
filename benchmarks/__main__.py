"""Run the benchmarks, and write what they find: JSON, tables and plots.

A full run writes to `benchmarks/results`, and puts the tables into the pages that show them. A
quick one only checks that everything still runs; its figures mean nothing.
"""

import argparse
import datetime as dt
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import _pages, _plots
from benchmarks._child import ROOT, ChildError, MissingError, failure
from benchmarks._figures import Figures, Part
from benchmarks._measure import machine, say, versions

_RESULTS = ROOT / "benchmarks" / "results"
_QUICK = ROOT / ".benchmarks"


def main() -> int:
    """Run what was asked for; returns 1 if something went wrong on the way."""
    chosen = _arguments()
    if sys.platform != "linux":
        print("the benchmarks need Linux: they read memory and pin processes as Linux has it")
        return 1
    # So that being ended from outside ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder: Path = chosen.results or (_QUICK if chosen.quick else _RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    # What is not measured now stays, but for figures that mean nothing.
    part_of_it = set(chosen.only) < set(_pages.PARTS) and not chosen.quick
    parts = dict(Figures.read(folder / "figures.json").parts) if part_of_it else {}
    wrong = False
    for name in chosen.only:
        say(name)
        began = time.perf_counter()
        part, sound = _measured(name, quick=chosen.quick)
        wrong = wrong or not sound
        if part is not None:
            parts[name] = part
            # At once: it took long.
            Figures(parts).write(folder / "figures.json")
        say(f"  {time.perf_counter() - began:.0f} s in all")
    figures = Figures(parts)
    text = _pages.everything(figures)
    (folder / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    if "gather" in figures.parts:
        if importlib.util.find_spec("matplotlib"):
            _plots.draw(figures, folder)
        else:
            say("no plots: matplotlib is not installed")
    if folder == _RESULTS:
        _pages.fill(figures)
    say(f"written to {folder}")
    return int(wrong)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few orders, one round")
    parser.add_argument(
        "--only", nargs="+", choices=_pages.PARTS, default=_pages.PARTS, help="keep the others"
    )
    parser.add_argument("--results", type=Path, help="a folder; the pages stay as they are")
    return parser.parse_args()


def _measured(name: str, *, quick: bool) -> tuple[Part | None, bool]:
    """Return what a part found, and whether nothing went wrong that should not."""
    common: dict[str, Any] = {"quick": quick, "machine": machine()}
    common["when"] = dt.datetime.now(dt.UTC).date().isoformat()
    try:
        if name == "web":
            common["printed"] = _printed(ROOT / "benchmarks" / "web.py", quick=quick)
            part = Part(**common, versions=versions(["clickpost_async"]))
        else:
            module = importlib.import_module(f"benchmarks.{name}")
            found = versions(["clickpost_async", *module.LIBRARIES])
            found |= getattr(module, "programs", dict)()
            part = Part(**common, versions=found, rows=module.measure(quick=quick))
    except (ChildError, ModuleNotFoundError) as error:
        say(f"  left out: {error}")
        return None, isinstance(error, MissingError | ModuleNotFoundError)
    return part, all(row.failed is None or row.missing for row in part.rows)


def _printed(script: Path, *, quick: bool) -> str:
    """Run a script that prints a table of its own."""
    if not script.exists():
        raise MissingError(f"there is no {script.name}")
    command = [sys.executable, str(script)]
    if quick:
        command += ["--rounds", "1", "--seconds", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    # It starts processes of its own: all of them are ended with it.
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, process_group=0
    ) as process:
        try:
            printed, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            raise ChildError(f"{script.name} did not end within 300 s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise failure(errors, process.returncode)
    return printed.strip()


if __name__ == "__main__":
    sys.exit(main())
