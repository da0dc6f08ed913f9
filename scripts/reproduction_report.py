"""Compare the numbers just recorded with the committed ones, each within its own tolerance.

python scripts/reproduction_report.py [TIMINGS] [--before BEFORE.json] [--after AFTER.json]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key

ROOT = Path(__file__).resolve().parents[1]


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


def committed() -> dict:
    """numbers.json of the last commit, as it is now; empty where there is none."""
    command = ["git", "-C", ROOT, "show", "HEAD:figures/numbers.json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(shown.stdout) if shown.returncode == 0 else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("timings", nargs="?", type=Path)
    parser.add_argument("--before", type=Path, help="default: what git has at HEAD")
    parser.add_argument("--after", type=Path, default=ROOT / "figures" / "numbers.json")
    arguments = parser.parse_args()
    if arguments.timings and arguments.timings.exists():
        print("\nTime and peak memory of each notebook")
        for line in sorted(arguments.timings.read_text().splitlines()):
            name, seconds, mib = line.split()
            print(f"  {name:32s} {int(seconds):5d} s {int(mib):6d} MiB")
    new = json.loads(arguments.after.read_text())
    old = json.loads(arguments.before.read_text()) if arguments.before else committed()
    lines = compare(old, new)
    print("\nReproduction report")
    print("\n".join(lines) if lines else "  no differences")
    print(f"  {len(by_key(new))} numbers recorded, {len(lines)} outside their tolerance, new or missing\n")


if __name__ == "__main__":
    main()
