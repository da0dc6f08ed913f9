"""What a feature is: accuracies against untrained networks."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from toymodels.metrics import Phase
from toymodels.plots.base import array, colour_key, panel_row
from toymodels.plots.phases import PHASE_COLOURS, diagram_panel

DECLARED_COLOURS = {True: "#1f78b4", False: "#4d4d4d"}
KEPT_COLOURS = {  # in the order of first + 2 × extra; those of the phases where there is one
    "neither": "#dddddd",
    "first feature": PHASE_COLOURS[Phase.IGNORED],
    "extra feature": PHASE_COLOURS[Phase.DEDICATED],
    "both": PHASE_COLOURS[Phase.SUPERPOSITION],
}


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


def p_value_strips(ax: Axes, groups: dict[str, Tensor], level: float) -> None:
    """p-values [feature] of each group as dots above its name, dark for the first (most important) feature.

    Above them the number of features below the level, each on its own.
    """
    for place, values in enumerate(map(array, groups.values())):
        spread = place + np.linspace(-0.28, 0.28, len(values))
        passed = np.sum(values < level)
        ax.text(place, 1.6, f"{passed}/{len(values)} stand out", ha="center", va="bottom", fontsize=7)
        ax.scatter(
            spread, values, s=9, c=np.arange(len(values)), cmap="Blues_r", vmax=1.5 * len(values), edgecolor="none"
        )
        ax.plot([place - 0.32, place + 0.32], [np.median(values)] * 2, color="C1", lw=1.2)
    ax.axhline(level, color="0.5", lw=0.7, ls=(0, (4, 2)))
    ax.set(yscale="log", ylim=(7e-4, 1.4), xlim=(-0.6, len(groups) - 0.4))
    ax.tick_params(axis="x", length=0)
    ax.set_xticks(range(len(groups)), list(groups))


def p_value_band(
    ax: Axes, places: Sequence[float], values: Sequence[Tensor], label: str, level: float, **look: object
) -> None:
    """From the smallest to the largest p-value at each place (log axes), the median as a line."""
    rows = np.array([[float(v.min()), float(v.median()), float(v.max())] for v in values])
    ax.fill_between(places, rows[:, 0], rows[:, 2], alpha=0.2, lw=0, **look)
    ax.plot(places, rows[:, 1], marker="o", label=label, **look)
    ax.axhline(level, color="0.5", lw=0.7, ls=(0, (4, 2)))
    ax.set(xscale="log", yscale="log", ylim=(7e-5, 1.4))
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.minorticks_off()


def p_value_bands(ax: Axes, groups: dict[str, dict[float, Tensor]], level: float, first_colour: int = 0) -> None:
    """A p_value_band for each group, p-values by place, in successive colours; with a legend."""
    for number, (label, values) in enumerate(groups.items()):
        p_value_band(ax, list(values), list(values.values()), label, level, color=f"C{number + first_colour}")
    ax.legend()


def p_value_table(ax: Axes, values: Tensor, rows: Sequence[float], densities: Tensor) -> AxesImage:
    """p-values [row, density] as numbers, darker for smaller ones; rows: values of ε."""
    table = array(values)
    image = ax.imshow(-np.log10(table), cmap="Blues", vmin=0, vmax=3.5, aspect="auto", rasterized=True)
    for row, column in np.ndindex(*table.shape):
        text = "1" if table[row, column] > 0.995 else f"{table[row, column]:.3f}".removeprefix("0")
        dark = table[row, column] < 0.003
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.set_xticks(range(len(densities)), [f"{p:g}" for p in densities.tolist()])
    ax.set_yticks(range(len(rows)), [f"{value:g}" for value in rows])
    ax.tick_params(length=0)
    return image


def accuracies(panels: dict[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """An accuracy_panel of (reference, trained, declared) for each title, beside each other."""
    figure, axes = panel_row(len(panels), 1.9)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        accuracy_panel(ax, *values)
        ax.set_title(title, fontsize=7.5)
        ax.set_xlabel("accuracy")
    axes[0].set_ylabel("share of networks")
    declared_key(figure)
    return figure


def nulls(panels: dict[str, dict[str, Tensor]], level: float) -> Figure:
    """p_value_strips by title, beside each other."""
    figure, axes = panel_row(len(panels), 2.5)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        p_value_strips(ax, values, level)
        ax.set_title(title, pad=14)
    axes[0].set_ylabel("p-value of each kept feature")
    dots = {"important": plt.get_cmap("Blues_r")(0.0), "less important": plt.get_cmap("Blues_r")(0.6)}
    handles = [Line2D([], [], color=c, ls="", marker="o", label=f"{name} feature") for name, c in dots.items()]
    handles += [Line2D([], [], color="C1", label="median")]
    handles += [Line2D([], [], color="0.5", lw=0.7, ls=(0, (4, 2)), label=f"level {level:g}")]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def scale_and_size(
    by_scale: dict[float, dict[float, Tensor]], by_size: dict[str, dict[int, Tensor]], level: float
) -> Figure:
    """p-values [feature] of a pentagon by tolerance and scale of the references, and of stacked ones by null and n."""
    figure, axes = panel_row(2, 2.2)
    p_value_bands(axes[0], {f"$\\varepsilon = {e:g}$": values for e, values in by_scale.items()}, level)
    p_value_bands(axes[1], by_size, level, first_colour=len(by_scale))
    axes[0].set(xlabel="scale of the untrained networks (Xavier = 1)", ylabel="p-values of the pentagon")
    axes[1].set(xlabel="features $n$ of stacked pentagons")
    return figure


def tolerances(tables: dict[str, Tensor], rows: Sequence[float], densities: Tensor) -> Figure:
    """A p_value_table [tolerance, density] for each title."""
    figure, axes = panel_row(len(tables), 1.9)
    for ax, (title, values) in zip(axes, tables.items(), strict=True):
        image = p_value_table(ax, values, rows, densities)
        ax.set(title=title, xlabel="density $p$")
    axes[0].set_ylabel(r"tolerance $\varepsilon$")
    bar = figure.colorbar(image, ax=axes, label="median p-value")
    bar.set_ticks([0, 1, 2, 3], labels=["1", "0.1", "0.01", "0.001"])
    return figure


def kept_maps(densities: Tensor, importances: Tensor, maps: dict[str, Tensor]) -> Figure:
    """A kept_panel [density, importance, 2 features] for each answer to which of two features is represented."""
    figure, axes = panel_row(len(maps), 2.1)
    for ax, (title, flags) in zip(axes, maps.items(), strict=True):
        kept_panel(ax, densities, importances, flags)
        ax.set_title(title)
    axes[0].set_ylabel("importance $r$")
    colour_key(figure, KEPT_COLOURS)
    return figure


def kept_panel(ax: Axes, densities: Tensor, importances: Tensor, kept: Tensor) -> QuadMesh:
    """n = 2: which of the features is kept [density, importance, 2 features], in the colours of the phases."""
    table = np.array([to_rgb(colour) for colour in KEPT_COLOURS.values()])
    flags = array(kept).astype(int)
    return diagram_panel(ax, densities, importances, table[flags[..., 0] + 2 * flags[..., 1]])
