"""Training conditions: maps, shares and lines of success."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from toymodels.plots.base import array


def setting_map(
    ax: Axes, values: Tensor, rates: Sequence[float], batches: Sequence[int | None], good: str = "high"
) -> AxesImage:
    """Fractions [rate, batch] of starts that succeed (good="high"), or excess losses (good="low"), as per cent.

    Colours run from 0 to 1, bright is good; grey where a setting was not run (NaN).
    """
    table = array(values)
    ax.set_facecolor("0.93")
    colours = "viridis" if good == "high" else "viridis_r"
    image = ax.imshow(table, cmap=colours, vmin=0, vmax=1, aspect="auto", origin="lower", rasterized=True)
    for row, column in np.ndindex(*table.shape):
        value = table[row, column]
        if not np.isnan(value):
            dark = (value < 0.6) == (good == "high")
            text = f"{100 * value:.0f}" if value < 9.995 else "∞" if np.isinf(value) else ">1k"
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.set_xticks(range(len(batches)), [_batch_name(batch) for batch in batches])
    ax.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    ax.tick_params(length=0)
    return image


def _batch_name(batch: int | None) -> str:
    if batch is None:
        return "∞"
    return f"{batch // 1024}k" if batch >= 1024 else str(batch)


def _positions(ax: Axes, values: Sequence) -> np.ndarray:
    """Places of values on the x axis: a log axis for numbers, one after the other for names."""
    if isinstance(values[0], str):
        ax.set_xticks(range(len(values)), values)
        return np.arange(len(values))
    ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.minorticks_off()
    return np.asarray(values, float)


def fraction_line(
    ax: Axes,
    values: Sequence,
    fractions: Sequence[float],
    ends: Sequence[tuple[float, float]],
    label: str,
    **look: object,
) -> Line2D:
    """Fractions against values with their intervals as error bars."""
    low, high = np.asarray(ends).T
    middle = np.asarray(fractions)
    errors = np.maximum([middle - low, high - middle], 0)
    bars = ax.errorbar(
        _positions(ax, values), middle, errors, label=label, marker="o", capsize=1.5, elinewidth=0.6, **look
    )
    ax.set_ylim(-0.03, 1.03)
    return bars.lines[0]
