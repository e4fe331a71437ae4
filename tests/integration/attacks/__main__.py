"""Attack a server, and print a table of what came of it.

Usage: ``python -m tests.integration.attacks``, from the root of the project. It takes
three or four minutes, and ends with 1 if something was not as it is promised.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

import trio

from tests.integration.attacks._arena import Honest, Result, Scale, run
from tests.integration.attacks._attack import families, find

SCALE = Scale()

HEAD = (
    "Attack",
    "Server's settings",
    "Connections",
    "How they ended",
    "p99 of honest clients, ms",
    "Longest wait of a new one, ms",
    "Honest errors",
    "Server's memory, MiB",
    "As promised",
)

NOTES = f"""\
# Under attack

Made by `python -m tests.integration.attacks`: each attack in turn, on a server in a
process of its own, with {SCALE.honest} honest clients in another one, who send a small
message every 40 ms; five of them connect anew each time. Times are before and during
the attack; memory (RSS) is before it, at its peak, and after it. Attackers, honest
clients and server share {os.cpu_count()} processors; Python
{platform.python_version()}, Linux {platform.release().partition("-")[0]}.
"""


def _row(result: Result) -> str:
    ends = sorted(result.ends.items(), key=lambda item: -item[1])
    quiet, attacked = _phases(result, "regulars")
    quiet_new, attacked_new = _phases(result, "newcomers")
    return _line(
        result.attack.name,
        result.attack.settings(),
        f"{result.visits:,}",
        ", ".join(f"{end}: {count:,}" for end, count in ends),
        f"{_ms(quiet.p99)} → {_ms(attacked.p99)}",
        f"{_ms(quiet_new.most)} → {_ms(attacked_new.most)}"
        if attacked_new.requests
        else "none came",
        str(len(result.errors)),
        " → ".join(f"{mib:.0f}" for mib in result.rss),
        "no: " + "; ".join(result.problems) if result.problems else "yes",
    )


def _phases(result: Result, who: str) -> tuple[Honest, Honest]:
    nobody = Honest()
    quiet = result.phases.get(f"quiet {who}", nobody)
    return quiet, result.phases.get(f"attack {who}", nobody)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"


async def _attack_all(chosen: list[str], part: str, scale: Scale) -> list[Result]:
    results: list[Result] = []
    for family in chosen:
        for attack in find(family):
            if part in attack.name:
                results.append(await run(family, attack, scale))
                sys.stdout.write(_row(results[-1]))
                sys.stdout.flush()
    return results


def main() -> None:
    """Parse the arguments, attack, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.integration.attacks", description=__doc__
    )
    parser.add_argument(
        "family",
        nargs="*",
        help=f"of attacks, by default all: {', '.join(families())}",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="only attacks with these in their name",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the table to a file, too"
    )
    args = parser.parse_args()
    head = _line(*HEAD) + _line(*["---"] * len(HEAD))
    sys.stdout.write(head)
    results = trio.run(_attack_all, args.family or families(), args.only, SCALE)
    if args.write:
        table = head + "".join(map(_row, results))
        args.write.write_text(f"{NOTES}\n{table}", encoding="utf-8")
    sys.exit(any(result.problems for result in results))


if __name__ == "__main__":
    main()
