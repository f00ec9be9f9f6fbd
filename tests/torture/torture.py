#!/usr/bin/env python3
"""The torture: rows of things that must not hurt. tests/torture/README.md says what each is.

Every row is a file row_NAME.py with SUMMARY (a line) and run(lab); lab.py has what they share. A row
returns when it held, raises lab.Skip where this machine cannot do it, and anything else is a finding:
the directory with the state and the logs is kept and named.
"""

import argparse
import glob
import importlib
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as shared  # noqa: E402

SKIPPED = 77


def find_rows():
    return sorted(os.path.basename(path)[4:-3] for path in glob.glob(os.path.join(HERE, "row_*.py")))


def run_row(name, options):
    """"held", "skipped" or "failed"."""
    module = importlib.import_module("row_" + name)
    print(f"== {name}: {module.SUMMARY} (seed {options.seed})", flush=True)
    lab = shared.Lab(name, options)
    outcome = "failed"
    try:
        module.run(lab)
        outcome = "held"
    except shared.Skip as reason:
        lab.say(f"SKIPPED: {reason}")
        outcome = "skipped"
    except Exception:  # whatever it is, the other rows shall still run
        traceback.print_exc()
        print(f"  {name}: what is left of it: {lab.directory}", flush=True)
    finally:
        lab.close(outcome == "failed")
    print(f"== {name}: {outcome} after {time.monotonic() - lab.begun:.0f} s", flush=True)
    return outcome


def end(_number, _frame):
    """Asked to end: no daemon stays behind."""
    raise SystemExit(143)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=30, help="for all rows together (30)")
    parser.add_argument("--row", action="append", choices=find_rows(), help="only this one; may be repeated")
    parser.add_argument("--short", action="store_true", help="as CTest does: a fixed, small number of each")
    parser.add_argument("--part", default="1/1", help="I/N: of what is counted (the Nth write) only that part")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers; a failed row says its own")
    parser.add_argument("--cutoutd", default=os.environ.get("CUTOUTD"), help="the program")
    parser.add_argument("--inject", default=os.environ.get("TORTURE_INJECT"), help="the library made of inject.c")
    options = parser.parse_args()
    os.environ["CUTOUTD"] = os.path.abspath(options.cutoutd)
    options.part = [int(number) for number in options.part.split("/")]
    options.inject = os.path.abspath(options.inject)
    signal.signal(signal.SIGTERM, end)
    rows = options.row or find_rows()
    options.seconds = 0 if options.short else options.minutes * 60 / len(rows)
    options.seed = int(time.time()) if options.seed is None else options.seed
    outcomes = {name: run_row(name, options) for name in rows}
    if "failed" in outcomes.values():
        return 1
    return SKIPPED if set(outcomes.values()) == {"skipped"} else 0


if __name__ == "__main__":
    sys.exit(main())
