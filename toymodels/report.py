"""What leaves a notebook: figures and recorded numbers. Knows paths and nothing of models."""

import json
import math
import os
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from toymodels.checks import require

ROOT = Path(__file__).resolve().parents[1]


def smoke() -> bool:
    """True under TOYMODELS_SMOKE=1: notebooks shrink their grids and steps, and write outside figures/."""
    return os.environ.get("TOYMODELS_SMOKE") == "1"


def figures_folder() -> Path:
    """figures/ of the repository; under smoke() a scratch folder (TOYMODELS_SCRATCH, or a fresh one)."""
    if not smoke():
        return ROOT / "figures"
    return Path(os.environ.get("TOYMODELS_SCRATCH") or tempfile.mkdtemp(prefix="toymodels-"))


def write_atomically(path: Path, text: str) -> None:
    """Replace path by text in one step, so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as part:
        part.write(text)
    Path(part.name).chmod(0o644)
    os.replace(part.name, path)


class Report:
    """The figures and numbers of one notebook: report = Report("01_introduction")."""

    def __init__(self, notebook: str):
        self.notebook = notebook
        self.folder = figures_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.numbers: dict[str, dict] = {}
        self._write()

    def save_figure(self, figure: Figure, stem: str) -> None:
        """Write STEM.pdf for the write-up and STEM.png for the README, byte for byte the same on every run."""
        figure.savefig(self.folder / f"{stem}.pdf", metadata={"CreationDate": None})
        figure.savefig(self.folder / f"{stem}.png", metadata={"Software": None})

    def record(self, key: str, value: float, tol: float, form: str = "{:g}") -> float:
        """Store a number that the write-up quotes, and return it.

        tol: absolute tolerance within which a run on another machine must find it again (0: exactly).
        form: how it is printed, a str.format pattern such as "{:.1f}" or "{:.1%}".
        Raises ValueError for a key recorded twice, a value that is not finite or a negative tolerance.
        """
        require(key not in self.numbers, "key", key, "a key not recorded before")
        require(math.isfinite(value), f"value of {key}", value, "a finite number")
        require(tol >= 0, f"tol of {key}", tol, "a number of at least 0")
        value = int(value) if float(value).is_integer() else float(f"{float(value):.6g}")
        text = form.format(value).replace("-0.0%", "0.0%")
        self.numbers[key] = {"value": value, "tol": float(f"{tol:.3g}"), "text": text}
        self._write()
        return value

    def _write(self) -> None:
        path = self.folder / "numbers.json"
        book = json.loads(path.read_text()) if path.exists() else {}
        book[self.notebook] = self.numbers
        book = {name: book[name] for name in sorted(book)}
        write_atomically(path, json.dumps(book, indent=1, ensure_ascii=False) + "\n")
        write_atomically(self.folder / "numbers.tex", numbers_tex(book))


def by_key(book: dict[str, dict[str, dict]]) -> dict[str, dict]:
    """The entries of a numbers.json, {"value", "tol", "text"}, under their keys, whatever notebook they are from."""
    return {key: entry for numbers in book.values() for key, entry in numbers.items()}


def numbers_tex(book: dict[str, dict[str, dict]]) -> str:
    """Every recorded number as a definition that the checked macro res of FINDINGS.tex looks up."""
    lines = ["% Written by toymodels.report from the notebooks. Do not edit."]
    for name, numbers in book.items():
        lines.append(f"% {name}")
        for key, entry in numbers.items():
            lines.append(rf"\expandafter\def\csname tm@{key}\endcsname{{{_tex(entry['text'])}}}")
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    if e:  # 1e-05 -> 1 × 10⁻⁵
        return rf"\ensuremath{{{mantissa}\times10^{{{int(exponent)}}}}}"
    return text.replace("%", r"\%").replace("-", r"\ensuremath{-}")
