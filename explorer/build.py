"""Build docs/index.html from the sources beside this file, the figures' data and the figures' phase colours.

    python explorer/build.py [OUTPUT]

The same sources give the same bytes. Needs NumPy alone, so that it takes a fraction of a second.
"""

import ast
import base64
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "figures"
SCALE = 16000  # weights and biases as 16-bit whole numbers


def phase_colours() -> dict[str, str]:
    """PHASE_COLOURS of toymodels/plots/phases.py, read without importing it."""
    source = (HERE.parent / "toymodels" / "plots" / "phases.py").read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "PHASE_COLOURS":
            return {k.attr: v.value for k, v in zip(node.value.keys, node.value.values, strict=True)}
    raise ValueError("PHASE_COLOURS is missing in toymodels/plots/phases.py")


def packed(values: np.ndarray, kind: str) -> str:
    """An array as little-endian bytes in base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode()


def rounded(values: np.ndarray, digits: int = 4) -> list:
    """Nested lists of numbers with few digits; NaN becomes None."""
    return [rounded(v, digits) for v in values] if values.ndim else _number(float(values), digits)


def _number(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else float(f"{value:.{digits}f}")


def data() -> dict:
    """What the page knows of the notebooks' results."""
    cells = np.load(FIGURES / "explorer_landscape.npz")
    sweep = np.load(FIGURES / "intro_density.npz")
    three = np.load(FIGURES / "intro_arrangements.npz")
    return {
        "colours": phase_colours(),
        "diagram": {
            "densities": rounded(cells["densities"], 6),
            "importances": rounded(cells["importances"], 6),
            "models": packed(np.rint(np.concatenate([cells["W"], cells["b"]], -1).clip(-2, 2) * SCALE), "<i2"),
            "share": packed(np.rint(cells["share"] * 100), "u1"),
            "border": rounded(cells["border"], 5),
            "scale": SCALE,
        },
        "sweep": {name: rounded(sweep[name]) for name in ("densities", "W", "b", "success")},
        "arrangements": {name: rounded(three[name], 6) for name in ("densities", "W", "b", "success")},
    }


def page() -> str:
    """The whole page."""
    texts = {name: (HERE / name).read_text() for name in ("template.html", "style.css", "model.js", "views.js")}
    for phase, colour in phase_colours().items():
        texts["style.css"] = texts["style.css"].replace(f"/*{phase}*/", colour)
    script = texts["model.js"].replace("if (typeof module !== 'undefined') module.exports = model;\n", "")
    picture = base64.b64encode((FIGURES / "phase_n2.png").read_bytes()).decode()
    parts = {
        "/*STYLE*/": texts["style.css"].strip(),
        "/*DATA*/": json.dumps(data(), separators=(",", ":")),
        "/*MODEL*/": script.strip(),
        "/*VIEWS*/": texts["views.js"].strip(),
        "/*FIGURE*/": f"data:image/png;base64,{picture}",
    }
    text = texts["template.html"]
    for mark, part in parts.items():
        text = text.replace(mark, part, 1)
    return text


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page())
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
