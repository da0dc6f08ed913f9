"""What leaves a notebook: figures, numbers, settings, models and data."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from studies.intervals import Share
from toymodels import saved
from toymodels.checks import require
from toymodels.data import Features
from toymodels.models import ToyModel

try:
    import fcntl
except ImportError:  # Windows, where no two notebooks are run side by side
    fcntl = None

Value = TypeVar("Value")

STYLE = "toymodels.toymodels"  # plt.style.use(STYLE)
EMBEDDED_DPI = 200  # of figures inside notebooks: as many pixels as the saved PNG files have


def use_style() -> None:
    """Use the style sheet of this package, as a Report does by itself, with larger figures inside notebooks."""
    plt.style.use(STYLE)
    if "inline" in plt.get_backend():
        plt.rcParams["figure.dpi"] = EMBEDDED_DPI


def smoke() -> bool:
    """True under TOYMODELS_SMOKE=1: notebooks shrink their grids and steps, and write outside figures/."""
    return os.environ.get("TOYMODELS_SMOKE") == "1"


def size(full: Value, smoke: Value) -> Value:
    """full, or smoke where the environment asks for smoke size: size(full=200, smoke=10)."""
    return smoke if os.environ.get("TOYMODELS_SMOKE") == "1" else full


def root() -> Path:
    """The nearest folder, from the current one upwards, that holds pyproject.toml and figures/: the repository.

    Raises ValueError if there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "figures").is_dir():
            return folder
    raise ValueError(f"current folder is {here}; allowed: one inside a repository with pyproject.toml and figures/")


def figures_folder() -> Path:
    """figures/ of the repository, see root; under smoke() a scratch folder (TOYMODELS_SCRATCH, or a fresh one)."""
    if not smoke():
        return root() / "figures"
    return Path(os.environ.get("TOYMODELS_SCRATCH") or tempfile.mkdtemp(prefix="toymodels-"))


def write_atomically(path: Path, text: str) -> None:
    """Replace path by text in one step, so that a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as part:
        part.write(text)
    Path(part.name).chmod(0o644)
    os.replace(part.name, path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While this lasts, no other process is in it for the same folder: notebooks that run side by side share files."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Report:
    """The figures and numbers of one notebook: report = Report("01_introduction"). Uses the package's style sheet.

    folder: where they are written; by default figures/ of the repository in which the notebook runs, or at smoke size a
    scratch folder, see figures_folder. Raises ValueError if no folder is given and there is no such repository.
    """

    def __init__(self, notebook: str, folder: str | Path | None = None):
        use_style()
        self.notebook = notebook
        self.folder = figures_folder() if folder is None else Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.numbers: dict[str, dict] = {}
        self.chosen: dict[str, str] = {}
        self._write()

    def save_figure(self, figure: Figure, stem: str) -> None:
        """Write STEM.pdf for the write-up and STEM.png for the README, byte for byte the same on every run.

        At smoke size only the first, and the figure is closed, so that the notebook does not draw it once more: there
        drawing takes longer than what is drawn.
        """
        figure.savefig(self.folder / f"{stem}.pdf", metadata={"CreationDate": None})
        if smoke():
            plt.close(figure)
        else:
            figure.savefig(self.folder / f"{stem}.png", metadata={"Software": None})

    def record(
        self, key: str, value: float | Tensor | Share, tol: float, form: str = "{:g}", label: str | None = None
    ) -> float:
        """Store a number that the write-up quotes, and return it.

        value: a number, or a Share, whose interval is stored as well, under key_low and key_high.
        tol: absolute tolerance within which a run on another machine must find it again (0: exactly).
        form: how it is printed, a str.format pattern such as "{:.1f}" or "{:.1%}".
        label: what it is, in words; it is then printed with the number: "Starts that arrive: 97% [93%, 99%]".
        Raises ValueError for a key recorded twice, a negative tolerance or a value that is not finite, which at smoke
        size is left out instead.
        """
        values = {key: value}
        if isinstance(value, Share):
            values = {key: value.value, f"{key}_low": value.low, f"{key}_high": value.high}
        numbers = [self._keep(name, number, tol, form) for name, number in values.items()]
        if label is not None:
            text, *ends = (_printed(number, form) for number in numbers)
            print(f"{label}: {text}" + (f" [{', '.join(ends)}]" if ends else ""))
        self._write()
        return numbers[0]

    def record_all(
        self,
        stem: str,
        values: dict[str, float | Tensor | tuple[float | Tensor, float]],
        form: str = "{:g}",
        tol: float = 0.0,
    ) -> None:
        """record() each of the values under the key STEM.name, in one form.

        values: a number, or a pair of a number and a tolerance of its own.
        """
        for name, value in values.items():
            self._keep(f"{stem}.{name}", *(value if isinstance(value, tuple) else (value, tol)), form)
        self._write()

    def settings(self, stem: str, **values: object) -> None:
        """Store what figure STEM was made with, from the variables that made it; the write-up prints them as a table.

        values: numbers, words, or lists of them, under the names they are printed with.
        Raises ValueError for a stem given twice.
        """
        require(stem not in self.chosen, "stem", stem, "a figure whose settings were not given before")
        self.chosen[stem] = "; ".join(f"{name} {_words(value)}" for name, value in values.items())
        self._write()

    def save_data(self, stem: str, **arrays: Tensor | np.ndarray) -> None:
        """Write the arrays that figure STEM shows, weights of its models say, beside it: STEM.npz.

        float64 is stored as float32, which is what a picture needs.
        """
        values = {
            name: a.detach().cpu().numpy() if isinstance(a, Tensor) else np.asarray(a) for name, a in arrays.items()
        }
        small = {name: a.astype(np.float32) if a.dtype == np.float64 else a for name, a in values.items()}
        np.savez_compressed(self.folder / f"{stem}.npz", allow_pickle=False, **small)

    def save_models(
        self, stem: str, model: ToyModel, features: Features, importance: Tensor, **arrays: Tensor | np.ndarray
    ) -> None:
        """Write the models that figure STEM shows beside it, for load("figures/STEM.npz"): see saved.save."""
        saved.save(self.folder / f"{stem}.npz", model, features, importance, **arrays)

    def _keep(self, key: str, value: float | Tensor, tol: float, form: str) -> float:
        """record() without writing."""
        require(key not in self.numbers, "key", key, "a key not recorded before")
        require(tol >= 0, f"tol of {key}", tol, "a number of at least 0")
        value = float(value)
        if smoke() and not math.isfinite(value):
            return value  # of too few runs
        require(math.isfinite(value), f"value of {key}", value, "a finite number")
        value = int(value) if value.is_integer() else float(f"{value:.6g}")
        self.numbers[key] = {"value": value, "tol": float(f"{tol:.3g}"), "text": _printed(value, form)}
        return value

    def _write(self) -> None:
        with alone(self.folder):
            book = self._merged("numbers.json", self.numbers)
            write_atomically(self.folder / "numbers.tex", numbers_tex(book))
            chosen = self._merged("settings.json", self.chosen)
            write_atomically(self.folder / "settings.tex", settings_tex(chosen))

    def _merged(self, name: str, mine: dict) -> dict[str, dict]:
        """The file of that name, by notebook, with what this notebook has now."""
        path = self.folder / name
        book = json.loads(path.read_text()) if path.exists() else {}
        book = {**book, self.notebook: mine}
        book = {notebook: book[notebook] for notebook in sorted(book)}
        write_atomically(path, json.dumps(book, indent=1, ensure_ascii=False) + "\n")
        return book


def _printed(value: float, form: str) -> str:
    return form.format(value).replace("-0.0%", "0.0%")


def _words(value: object) -> str:
    if isinstance(value, Tensor | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return ", ".join(map(_words, value))
    if isinstance(value, type):
        return value.__name__
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def by_key(book: dict[str, dict[str, dict]]) -> dict[str, dict]:
    """The entries of a numbers.json, {"value", "tol", "text"}, under their keys, whatever notebook they are from."""
    return {key: entry for numbers in book.values() for key, entry in numbers.items()}


def numbers_tex(book: dict[str, dict[str, dict]]) -> str:
    """Every recorded number as a definition that the checked macro res of FINDINGS.tex looks up."""
    lines = ["% Written by notebooks/studies/report.py from the notebooks. Do not edit."]
    for name, numbers in book.items():
        lines.append(f"% {name}")
        for key, entry in numbers.items():
            lines.append(rf"\expandafter\def\csname tm@{key}\endcsname{{{_tex(entry['text'])}}}")
    return "\n".join(lines) + "\n"


def settings_tex(book: dict[str, dict[str, str]]) -> str:
    """An item of the list of settings for each figure, figures with the same settings together."""
    lines = ["% Written by notebooks/studies/report.py from the notebooks. Do not edit."]
    for chosen in book.values():
        stems: dict[str, list[str]] = {}
        for stem, words in chosen.items():
            stems.setdefault(words, []).append(stem)
        for words, some in stems.items():
            figures = ", ".join(rf"\ref{{fig:{stem}}}" for stem in some)
            lines.append(rf"\setting{{{figures}}}{{{_tex_words(words)}}}")
    return "\n".join(lines) + "\n"


def _tex_words(words: str) -> str:
    """Words as TeX: powers and one-letter names in italics, an equals sign after the latter."""
    text = words.replace("%", r"\%").replace("_", " ")
    text = re.sub(r"([\d.]+)\^(\w)", r"$\1^\2$", text)
    return re.sub(r"(^|; )([a-zA-Z]) ", r"\1$\2=$\\,", text)


def _tex(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    if e:  # 1e-05 -> 1 × 10⁻⁵
        return rf"\ensuremath{{{mantissa}\times10^{{{int(exponent)}}}}}"
    return text.replace("%", r"\%").replace("-", r"\ensuremath{-}")
