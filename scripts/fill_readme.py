"""Put into README.md, CONTRIBUTING.md and notebooks/README.md what is counted elsewhere.

Recorded numbers: each stands before a comment with its key, as in 42%<!--section.key-->. Between <!-- claims --> and
<!-- end of claims -->: verdicts of the claims table of FINDINGS.tex by section. Between <!-- size --> and
<!-- end of size -->: lines of the package, in hundreds.

python scripts/fill_readme.py
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key, write_atomically

ROOT = Path(__file__).resolve().parents[1]


def fill(text: str, numbers: dict[str, str]) -> str:
    """text with the number before each <!--key--> replaced by the recorded one; KeyError for an unknown key."""
    return re.sub(r"[^\s|(*]+<!--([\w.-]+)-->", lambda match: f"{numbers[match[1]]}<!--{match[1]}-->", text)


PAGES = "README.md", "CONTRIBUTING.md", "notebooks/README.md"
SECTIONS = {  # prefix of the claims' numbers: title, notebooks
    "C1": ("Introduction", "01"),
    "C2": ("Demonstrating superposition", "02"),
    "C3": ("Phase changes", "03"),
    "C12": ("The earlier replication", "12"),
    "C4": ("Geometry", "04, 05"),
    "C5": ("Learning dynamics", "06"),
    "C6": ("Adversarial robustness", "07"),
    "C7": ("Privileged basis", "08"),
    "C8": ("Computation in superposition", "09"),
    "CA": ("Appendix: nonlinear compression", "09"),
    "CT": ("Training conditions", "10"),
    "CF": ("What is a feature?", "11"),
    "CD": ("What can a dictionary read?", "13"),
}
VERDICTS = "confirmed", "moved", "conditional", "refuted", "open", "new"


def claims(tex: str) -> str:
    """A row for each section: how many of its claims have which verdict; KeyError for a section without a title."""
    rows = re.findall(r"^\\claim\{([^.}]+)\.\d+\}.*\{([a-z ]+)\}\{\d\d\}$", tex, re.MULTILINE)
    counts = {prefix: Counter() for prefix in SECTIONS}
    for prefix, verdict in rows:
        counts[prefix][verdict] += 1
    lines = ["| section | claims | " + " | ".join(VERDICTS) + " | notebooks |", "|---" * (3 + len(VERDICTS)) + "|"]
    for prefix, (title, notebooks) in SECTIONS.items():
        cells = [str(counts[prefix][verdict] or "") for verdict in VERDICTS]
        lines.append(f"| {title} | {counts[prefix].total()} | {' | '.join(cells)} | {notebooks} |")
    return "\n".join(lines)


def size() -> str:
    """How many hundred lines of Python the package and the studies of the notebooks have, by folder."""
    folders = "toymodels", "toymodels/engine", "toymodels/plots", "notebooks/studies"
    face, engine, plots, studies = (
        f"{round(sum(len(path.read_text().splitlines()) for path in (ROOT / folder).glob('*.py')), -2):,}"
        for folder in folders
    )
    return (
        f"The package has about {face} lines, its engine/ another {engine} and plots/ {plots}. The studies of the "
        f"notebooks, which are not installed, have {studies}."
    )


def between(text: str, name: str, new: str) -> str:
    """text with what stands between <!-- name --> and <!-- end of name --> replaced."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)"
    return re.sub(pattern, lambda match: match[1] + new + match[2], text, flags=re.DOTALL)


if __name__ == "__main__":
    book = json.loads((ROOT / "figures" / "numbers.json").read_text())
    texts = {key: entry["text"] for key, entry in by_key(book).items()}
    for name in PAGES:
        text = (ROOT / name).read_text()
        text = fill(text, texts) if name.endswith("README.md") else text  # CONTRIBUTING.md shows the form of a key
        text = between(text, "claims", claims((ROOT / "FINDINGS.tex").read_text()))
        write_atomically(ROOT / name, between(text, "size", size()))
