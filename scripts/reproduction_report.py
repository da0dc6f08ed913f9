"""Compare the numbers just recorded with the committed ones, each within its own tolerance.

python scripts/reproduction_report.py BEFORE.json AFTER.json [TIMINGS]
"""

import json
import sys
from pathlib import Path

from toymodels.report import by_key


def compare(before: dict, after: dict) -> list[str]:
    """One line per number that differs by more than its tolerance, has appeared or is gone."""
    old, new = by_key(before), by_key(after)
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            lines.append(f"  new      {key} = {new[key]['text']}")
        elif key not in new:
            lines.append(f"  missing  {key} (was {old[key]['text']})")
        elif not abs(new[key]["value"] - old[key]["value"]) <= old[key]["tol"] + 1e-12:
            a, b, tol = old[key]["value"], new[key]["value"], old[key]["tol"]
            lines.append(f"  differs  {key}: committed {a:g}, here {b:g}, tolerance {tol:g}")
    return lines


def main(before: Path, after: Path, timings: Path | None) -> None:
    if timings and timings.exists():
        print("\nTime and peak memory of each notebook")
        for line in timings.read_text().splitlines():
            name, seconds, mib = line.split()
            print(f"  {name:32s} {int(seconds):5d} s {int(mib):6d} MiB")
    new = json.loads(after.read_text())
    old = json.loads(before.read_text()) if before.exists() else {}
    lines = compare(old, new)
    print("\nReproduction report")
    print("\n".join(lines) if lines else "  no differences")
    print(f"  {len(by_key(new))} numbers recorded, {len(lines)} outside their tolerance, new or missing\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
