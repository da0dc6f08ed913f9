"""What a feature is: accuracies against untrained networks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from studies import tables
from toymodels.metrics import Phase
from toymodels.plots.base import array, colour_key, panel_row
from toymodels.plots.phases import PHASE_COLOURS, diagram_panel

KEPT_COLOURS = {  # in the order of first + 2 × extra; those of the phases where there is one
    "neither": "#dddddd",
    "first feature": PHASE_COLOURS[Phase.IGNORED],
    "extra feature": PHASE_COLOURS[Phase.DEDICATED],
    "both": PHASE_COLOURS[Phase.SUPERPOSITION],
}


def accuracies(panels: dict[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """Accuracies of untrained networks as a histogram, those of a trained one [feature] as lines, by title.

    panels: title -> (reference, trained, declared).
    """
    figure, axes = panel_row(len(panels), 1.9)
    looks = {True: {"color": "#1f78b4"}, False: {"color": "#4d4d4d", "ls": (0, (2, 2))}}  # declared, not declared
    for ax, (title, (reference, trained, declared)) in zip(axes, panels.items(), strict=True):
        counts, edges = np.histogram(array(reference), np.linspace(0, 1, 51))
        ax.bar(edges[:-1], counts / counts.sum(), width=0.02, align="edge", color="0.75")
        for value, flag in sorted(zip(array(trained), array(declared), strict=True), key=lambda pair: pair[1]):
            ax.axvline(value, lw=1.0, **looks[bool(flag)])
        ax.set(xlim=(0, 1.03), yscale="log", ylim=(1e-4, 1.5), xticks=[0, 0.5, 1], xlabel="accuracy")
        ax.set_title(title, fontsize=7.5)
    axes[0].set_ylabel("share of networks")
    handles = [Patch(facecolor="0.75", label="untrained networks")]
    for flag, words in ((True, "declared"), (False, "not declared")):
        handles.append(Line2D([], [], label=f"trained feature, {words}", **looks[flag]))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def verdicts(panels: dict[str, dict[str, dict[str, Tensor]]]) -> Figure:
    """Shares of features [feature] that pass as bars: a panel for each title, a group for each reference.

    In a group a bar for each network that is tested, of the flags under its name.
    """
    figure, axes = panel_row(len(panels), 2.0)
    for ax, (title, groups) in zip(axes, panels.items(), strict=True):
        for place, networks in enumerate(groups.values()):
            for number, (name, flags) in enumerate(networks.items()):
                x, found, of = place + 0.36 * (number - 0.5), int(flags.sum()), len(flags)
                ax.bar(x, found / of, width=0.34, color=f"C{2 * number}", label=None if place else name)
                words = f"{found} of {of}" if of < 100 else f"{found / of:.0%}"
                ax.text(x, found / of + 0.02, words, ha="center", va="bottom", fontsize=7.5)
        ax.set(title=title, xlim=(-0.5, len(groups) - 0.5), ylim=(0, 1.12), yticks=[0, 0.5, 1])
        ax.set_xticks(range(len(groups)), list(groups))
        ax.tick_params(axis="x", length=0)
    axes[0].set_ylabel("share of features that pass")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def p_value_bands(ax: Axes, groups: dict[str, dict[float, Tensor]], level: float, first_colour: int = 0) -> None:
    """From the smallest to the largest p-value at each place, the median as a line: a band for each group."""
    for number, (label, values) in enumerate(groups.items()):
        look = {"color": f"C{number + first_colour}"}
        low, middle, high = np.array([np.quantile(array(v), (0, 0.5, 1)) for v in values.values()]).T
        ax.fill_between(list(values), low, high, alpha=0.2, lw=0, **look)
        ax.plot(list(values), middle, marker="o", label=label, **look)
    ax.axhline(level, color="0.5", lw=0.7, ls=(0, (4, 2)))
    ax.set(xscale="log", yscale="log", ylim=(7e-5, 1.4))
    ax.set_xticks(list(values), [f"{place:g}" for place in values])
    ax.minorticks_off()
    ax.legend()


def tolerances(panels: dict[str, Tensor], rows: Sequence[float], densities: Tensor) -> Figure:
    """p-values [tolerance, density] as numbers, darker for smaller ones: a panel for each title. rows: values of ε."""
    figure, axes = panel_row(len(panels), 1.9)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        p = array(values)
        texts = [["1" if value > 0.995 else f"{value:.3f}".removeprefix("0") for value in row] for row in p]
        image = tables.table(ax, -np.log10(p), texts, rows, densities.tolist(), cmap="Blues", vmin=0, vmax=3.5)
        ax.set(title=title, xlabel="density $p$")
    axes[0].set_ylabel(r"tolerance $\varepsilon$")
    bar = figure.colorbar(image, ax=axes, label="median p-value")
    bar.set_ticks([0, 1, 2, 3], labels=["1", "0.1", "0.01", "0.001"])
    return figure


def kept_maps(densities: Tensor, importances: Tensor, maps: dict[str, Tensor]) -> Figure:
    """Which of two features is represented [density, importance, 2 features], in the colours of the phases.

    A panel for each title of maps.
    """
    figure, axes = panel_row(len(maps), 2.1)
    table = np.array([to_rgb(colour) for colour in KEPT_COLOURS.values()])
    for ax, (title, kept) in zip(axes, maps.items(), strict=True):
        flags = array(kept).astype(int)
        diagram_panel(ax, densities, importances, table[flags[..., 0] + 2 * flags[..., 1]])
        ax.set_title(title)
    axes[0].set_ylabel("importance $r$")
    colour_key(figure, KEPT_COLOURS)
    return figure
