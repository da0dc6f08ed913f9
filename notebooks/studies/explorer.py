"""The explorer, the page on which superposition can be touched, shown inside a notebook."""

import html
import json
import re
from pathlib import Path

from toymodels.checks import count, require

# the steps of the story
PRESETS = (
    "input",
    "dense",
    "triangle",
    "pairs",
    "pentagon",
    "sweep",
    "starts",
    "beat",
    "superposition",
    "trap",
    "read",
)
STATE = {  # key of a state: what its value may be
    "view": r"one|two|dictionary",
    "preset": "|".join(PRESETS),
    "p": r"0?\.\d+|1(\.0*)?",
    "r": r"\d+(\.\d*)?|\.\d+",
    "ratio": r"0?\.\d+|1(\.0*)?",
    "n": r"[2-6]",
    "layer": r"phase|success",
    "ground": r"loss|basins",
    "start": r"-?\d*\.?\d+,-?\d*\.?\d+",
    "optimizer": r"adam|gd",
    "lr": r"\d*\.?\d+",
    "game": r"on|off",
    "x": r"(\d*\.?\d+,)+\d*\.?\d+",
    "density": r"0\.1|0\.001",
    "penalty": r"0?\.\d+",
    "point": r"-?\d*\.?\d+,-?\d*\.?\d+",
    "W": r"(-?\d*\.?\d+,)+-?\d*\.?\d+",
    "b": r"(-?\d*\.?\d+,)+-?\d*\.?\d+",
}


def page(state: str = "") -> str:
    """The explorer, one self-contained HTML page, opened in a state such as "preset=pairs" or "view=one&p=0.3&r=2".

    Raises ValueError for a state that the page does not know, and where docs/index.html has not been built.
    """
    known = " & ".join(f"{key}=..." for key in STATE)
    for part in state.split("&") if state else []:
        key, _, value = part.partition("=")
        good = key in STATE and re.fullmatch(STATE[key], value) is not None
        require(good, "state", state, f"key=value pairs joined by &: {known}; or a preset: {', '.join(PRESETS)}")
    path = Path(__file__).resolve().parents[2] / "docs" / "index.html"
    require(path.exists(), "docs/index.html", "missing", "a built page: run make explorer")
    return path.read_text().replace('data-state=""', f"data-state={json.dumps(html.escape(state))}", 1)


class Frame:
    """The page inside a notebook: JupyterLab, VS Code and Colab show it as a frame."""

    def __init__(self, state: str = "", height: int = 800, linked: bool = False):
        self.state, self.height, self.linked = state, count("height", height, least=100), linked
        self.source = page(state)

    def __repr__(self) -> str:  # without an address, so that a notebook's bytes repeat
        return f"Frame({self.state!r})"

    def _repr_html_(self) -> str:
        look = f'style="width:100%;height:{self.height}px;border:0" title="Explorer"'
        if self.linked:
            address = html.escape(f"../docs/index.html#{self.state}")
            return f'<iframe src="{address}" {look}></iframe><a href="{address}">Explorer</a>'
        text = self.source.replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe srcdoc="{text}" {look}></iframe>'


def show(state: str = "", height: int = 800, linked: bool = False) -> Frame:
    """The explorer as the last expression of a notebook cell. Raises ValueError as page does.

    linked: the frame and a link point to docs/index.html, as seen from notebooks/, so that the notebook stays small;
    else the cell's output holds the whole page and works wherever the notebook goes.
    """
    return Frame(state, height, linked)
