"""Build docs/index.html from the sources beside this file, the figures' data and the figures' phase colours.

    python explorer/build.py [OUTPUT]

The same sources give the same bytes. Needs NumPy alone, so that it takes a fraction of a second.

A further view of the page is a script that registers itself in redraw.views if its entry of data() is there, a section
of class "view" whose id is the view's name, and a tab with data-view=NAME; the tab of a view without data stays hidden.
"""

import ast
import base64
import itertools
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "figures"
SCALE = 16000  # weights and biases as 16-bit whole numbers
SCRIPTS = (  # in this order: a script uses those above it, and those below it once the page has loaded
    "model",  # the model, its exact loss, training
    "format",  # numbers as text
    "address",  # the state, and the same as an address
    "canvas",  # colours, axes, pointer and keys
    "redraw",  # one redraw a frame, work in pieces
    "phase",  # two features, one neuron: the phase diagram
    "curve",  # the loss over the steps
    "valleys",  # two features, one neuron: the landscape and its starts
    "search",  # the lowest loss known in two dimensions
    "plane",  # features in two dimensions: arrows, interference, density
    "inputs",  # what goes in, what comes out
    "starts",  # many starts
    "play",  # the density falls by itself
    "game",  # beat the best
    "reader",  # what a sparse autoencoder reads
    "story",  # the guided story
    "main",  # controls and the address
)


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
        "dictionary": dictionaries(np.load(FIGURES / "explorer_dictionary.npz")),
    }


def dictionaries(read: np.lib.npyio.NpzFile) -> dict:
    """Dictionaries of five latents in the plane, by density and penalty: E, D, e, d of each, one after the other.

    Latents stand in the order of the features that they are nearest to, so that an arrow keeps its name.
    """
    unit = [values / np.linalg.norm(values, axis=-2, keepdims=True) for values in (read["D"], read["W"])]
    cosine = np.einsum("plik,pif->plkf", *unit)  # [density, penalty, latent, feature]
    orders = np.array(list(itertools.permutations(range(cosine.shape[-1]))))  # [order, feature]
    gain = sum(cosine[..., orders[:, f], f] for f in range(orders.shape[1]))
    order = orders[gain.argmax(-1)]  # [density, penalty, feature]: the latent of each feature
    sorted_ = {
        "E": np.take_along_axis(read["E"], order[..., None], -2),
        "D": np.take_along_axis(read["D"], order[..., None, :], -1),
        "e": np.take_along_axis(read["e"], order, -1),
        "d": read["d"],
    }
    flat = [values.reshape(*order.shape[:2], -1) for values in sorted_.values()]
    return {
        "penalties": rounded(read["penalty"], 6),
        "densities": rounded(read["density"], 6),
        "W": rounded(read["W"], 6),
        "models": packed(np.concatenate(flat, -1), "<f4"),
        "story": {"lowest": round(float(read["loss"][0, int(read["told"])]), 5), "own": round(float(read["own"]), 5)},
    }


def figure() -> str:
    """The phase diagram of two features and one neuron as a drawing, for readers without JavaScript."""
    cells, colours = np.load(FIGURES / "explorer_landscape.npz"), phase_colours()
    x = np.round(-200 * np.log10(cells["densities"]), 1)  # p = 1 at 0, p = 0.01 at 400
    y = np.round(150 * np.log10(cells["border"]), 1)  # r = 1 at 0, r = 0.1 at -150
    known = ~np.isnan(y)
    border = [f"{a:g},{-b:g}" for a, b in zip(x[known], y[known], strict=True)]
    mirror = [f"{a:g},{b:g}" for a, b in zip(x[known][::-1], y[known][::-1], strict=True)]
    words = (
        (395, -60, "end", "superposition: both features share the neuron", "#111"),
        (10, -125, "start", "only feature 2 is kept", "#fff"),
        (10, 135, "start", "only feature 1 is kept", "#111"),
    )
    labels = "".join(f'<text x="{a}" y="{b}" text-anchor="{c}" fill="{e}">{d}</text>' for a, b, c, d, e in words)
    ticks = "".join(f'<text x="{200 * k}" y="170" text-anchor="middle">{10.0**-k:g}</text>' for k in range(3))
    return (
        '<svg viewBox="-60 -160 480 370" width="650" role="img" font-family="sans-serif" font-size="13">'
        "<title>Phase diagram: importance of feature 2 against density</title>"
        f'<rect y="-150" width="400" height="150" fill="{colours["DEDICATED"]}"/>'
        f'<rect width="400" height="150" fill="{colours["IGNORED"]}"/>'
        f'<polygon points="{" ".join(border + mirror)}" fill="{colours["SUPERPOSITION"]}" stroke="#111"/>'
        f'{labels}{ticks}<text x="200" y="195" text-anchor="middle">density p: dense → sparse</text>'
        '<text x="-8" y="-140" text-anchor="end">10</text><text x="-8" y="4" text-anchor="end">1</text>'
        '<text x="-8" y="150" text-anchor="end">0.1</text>'
        '<text transform="translate(-40 0) rotate(-90)" text-anchor="middle">importance r of feature 2</text></svg>'
    )


def page() -> str:
    """The whole page."""
    text, style = (HERE / "template.html").read_text(), (HERE / "style.css").read_text()
    for phase, colour in phase_colours().items():
        style = style.replace(f"/*{phase}*/", colour)
    parts = {
        "/*STYLE*/": style.strip(),
        "/*DATA*/": json.dumps(data(), separators=(",", ":")),
        "/*SCRIPTS*/": "\n\n".join((HERE / f"{name}.js").read_text().strip() for name in SCRIPTS),
        "<!--FIGURE-->": figure(),
    }
    for mark, part in parts.items():
        text = text.replace(mark, part, 1)
    return text


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page())
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
