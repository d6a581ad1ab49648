"""
`make bench`: measure, keep the figures, and make the plot and the tables of the docs from them.

The proxy under measurement has core 0; the made-up upstream and the load share core 1. CPU is what the kernel accounts
to the proxy's processes, so that a slow load or a noisy neighbour changes how long a case takes and not what it
measures. A measure that fails leaves its old figures as they are, is told at the end, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from time import monotonic

from bench import figures, plot, tables
from bench.cases import RIVALS, TABLES
from bench.figures import Figure
from bench.machine import make_ready
from bench.measures import MEASURES, Measure
from bench.measures.run import Run
from bench.rivals.comparison import rivals

KNOWN = {**MEASURES, RIVALS.name: Measure(rivals, (RIVALS.name,))}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many, in turn")
    parser.add_argument("--seconds", type=int, default=4, help="of a round")
    parser.add_argument("--only", nargs="+", choices=KNOWN, help="leave the other figures alone")
    parser.add_argument("--plot", action="store_true", help="measure nothing: plot and tables only")
    parser.add_argument(
        "--try", dest="is_trial", action="store_true", help="short and small; nothing is kept"
    )
    options = parser.parse_args()
    if options.plot:
        publish()
        return
    make_ready()
    logging.disable(logging.WARNING)
    run = Run(rounds=options.rounds, seconds=options.seconds)
    if options.is_trial:
        run = Run(rounds=1, seconds=1, keys=20, shrink=100)
    failed = [
        name
        for name in options.only or MEASURES
        if not measure(name, run, is_kept=not options.is_trial)
    ]
    if not options.is_trial:
        publish()
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


def measure(name: str, run: Run, *, is_kept: bool) -> bool:
    """Take the figures of one measure, tell them, and keep them at once; False: it failed."""
    began_s = monotonic()
    found: list[Figure] = []
    try:
        for figure in KNOWN[name].function(run):
            found.append(figure)
            _tell(f"{figure.case}, {figure.subject}: {tables.number(figure.value)}")
    except Exception:  # noqa: BLE001 - the edge: the other measures go on
        traceback.print_exc()
        return False
    _tell(f"── {name}: {monotonic() - began_s:.0f} s")
    groups = figures.load()
    for table in KNOWN[name].tables:
        cases = {case.id for case in (TABLES | {RIVALS.name: RIVALS})[table].cases}
        groups[table] = figures.group_of((f for f in found if f.case in cases), str(run))
    if is_kept:
        figures.save(groups)
    return True


def publish() -> None:
    """Plot and tables, from the figures that are kept."""
    groups = figures.load()
    plot.FILE.write_text(plot.plotted(groups), encoding="utf-8")
    tables.write(groups)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
