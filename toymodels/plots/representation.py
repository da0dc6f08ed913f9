"""What a feature is: accuracies against untrained networks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from toymodels.plots.base import array

DECLARED_COLOURS = {True: "#1f78b4", False: "#4d4d4d"}


def accuracy_panel(ax: Axes, reference: Tensor, trained: Tensor, declared: Tensor) -> BarContainer:
    """Accuracies of untrained networks as a histogram, those of a trained one [feature] as lines, by declared."""
    values = array(reference).ravel()
    counts, edges = np.histogram(values, np.linspace(0, 1, 51))
    bars = ax.bar(edges[:-1], counts / values.size, width=0.02, align="edge", color="0.75")
    for value, flag in sorted(zip(array(trained), array(declared), strict=True), key=lambda pair: pair[1]):
        ax.axvline(value, color=DECLARED_COLOURS[bool(flag)], lw=1.0, ls="-" if flag else (0, (2, 2)))
    ax.set(xlim=(0, 1.03), yscale="log", ylim=(1e-4, 1.5), xticks=[0, 0.5, 1])
    return bars


def declared_key(figure: Figure) -> Legend:
    """Legend of accuracy_panel below the panels."""
    handles = [
        Patch(facecolor="0.75", label="untrained networks"),
        Line2D([], [], color=DECLARED_COLOURS[True], label="trained feature, declared"),
        Line2D([], [], color=DECLARED_COLOURS[False], ls=(0, (2, 2)), label="trained feature, not declared"),
    ]
    return figure.legend(handles=handles, loc="outside lower center", ncols=3)


def count_table(ax: Axes, counts: Tensor, expected: Tensor, rows: Sequence[float], densities: Tensor) -> AxesImage:
    """counts [row, density] as numbers on a shade of their ratio to expected [density]; rows: values of ε."""
    ratio = array(counts) / array(expected)
    image = ax.imshow(ratio, cmap="Blues", vmin=0, vmax=1.6, aspect="auto", rasterized=True)
    for row, column in np.ndindex(*ratio.shape):
        ax.text(column, row, f"{int(counts[row, column])}", ha="center", va="center", fontsize=7)
    for column, number in enumerate(array(expected)):
        ax.text(column, len(rows), f"{int(number)}", ha="center", va="center", fontsize=7, weight="bold")
    ax.set(ylim=(len(rows) + 0.5, -0.5), xlabel="density $p = 1 - S$", ylabel=r"tolerance $\varepsilon$")
    ax.set_xticks(range(len(densities)), [f"{p:g}" for p in densities.tolist()])
    ax.set_yticks(range(len(rows) + 1), [*(f"{value:g}" for value in rows), r"$\|W_i\| > 1/2$"])
    ax.tick_params(length=0)
    return image
