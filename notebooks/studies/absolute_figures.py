"""Absolute values: figures of models that compute them, and of their losses against the monosemantic model's."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studies import absolute
from studies.neurons_figures import feature_color, stack
from toymodels.plots.base import TEXT_WIDTH, density_axis
from toymodels.plots.features import SHARING


def model_and_graph(W1: NDArray, W2: NDArray, motif: absolute.Motif | None = None) -> Figure:
    """A model W1 [hidden, feature], W2 [feature, hidden], as stack plots, neurons by feature, and as a graph.

    motif: one that is found in it; then the graph is that of its two neurons and two features.
    """
    figure, panels = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.6 if motif else 2.1))
    ordered = absolute.by_feature(W1, W2, signed=motif is None)
    for panel, W, title in zip(panels[:2], (ordered[0], ordered[1].T), ("$W_1$", "$W_2$"), strict=True):
        stack(panel, W)
        panel.set_title(f"{title}, by neuron")
    if motif is None:
        neuron_graph(panels[2], *ordered)
    else:
        pair, features = [motif.shared, motif.inhibits], [motif.strong, motif.weak]
        W1, W2 = absolute.rescaled(W1, W2)
        neuron_graph(panels[2], W1[np.ix_(pair, features)], W2[np.ix_(features, pair)], features)
    panels[2].set_title("one motif" if motif else "$x$, neurons, $y$")
    return figure


def stacks(densities: Sequence[float], W1: NDArray, W2: NDArray, ratios: Sequence[float], top: float = 5.5) -> Figure:
    """Weights in, abs(W1) [density, hidden, feature], as a bar for each neuron, and the loss ratio of each density.

    Black: the weight of the neuron's main feature, that of its largest share; blue: the sum of all others. The largest
    weight of a neuron is 1, and neurons stand by main feature. A bar above `top` is cut, its height written there.
    """
    size = TEXT_WIDTH, 0.5 + 1.0 * len(densities)
    figure, panels = plt.subplots(len(densities), 1, figsize=size, squeeze=False, sharex=True, sharey=True)
    for panel, p, one, other, ratio in zip(panels[:, 0], densities, *absolute.rescaled(W1, W2), ratios, strict=True):
        main, neurons = absolute.shares(one, other).argmax(1), np.arange(len(one))
        order = np.argsort(main, kind="stable")
        own, total = np.abs(one)[neurons, main][order], np.abs(one).sum(1)[order]
        panel.bar(neurons, own, 0.8, color=SHARING(0.0), label="its main feature")
        panel.bar(neurons, total - own, 0.8, own, color=SHARING(1.0), label="all other features")
        for neuron in np.nonzero(total > top)[0]:
            panel.text(neuron, top, f"{total[neuron]:.1f}", ha="center", va="bottom", fontsize=6)
        panel.set_title(f"$p = {p:g}$: {ratio:.3f} times the loss of the best network that does not share", loc="left")
        panel.set(ylim=(0, top), xlim=(-0.6, len(main) - 0.4), xticks=[])
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.supylabel("weights in, $|w|$", fontsize="medium")
    panel.set_xlabel(f"{len(main)} neurons, ordered by their main feature")
    return figure


def ratios(
    lowest: Mapping[str, Mapping[float, tuple[float, float]]],
    others: Mapping[str, Mapping[float, float]],
    further: Mapping[str, Collection[float]],
) -> Figure:
    """Loss over the monosemantic model's by density, a line for each name: of the lowest models found, with standard
    errors (often smaller than the point), and of models that began in one way.

    further: the densities of a line at which models had further training; points there are filled, or thick.
    """
    figure, panel = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.2))
    for (name, found), color in zip(lowest.items(), ("#5e3c99", "#e08214"), strict=False):
        panel.errorbar(list(found), *zip(*found.values(), strict=True), fmt="-", color=color)
        _points(panel, name, {p: ratio for p, (ratio, _) in found.items()}, further[name], "o", color)
    for (name, ratio), marker in zip(others.items(), "xs", strict=False):
        panel.plot(list(ratio), list(ratio.values()), ":", color="grey")
        _points(panel, name, ratio, further[name], marker, "grey")
    panel.axhline(1.0, color="black", lw=0.8)
    panel.set_ylim(bottom=0.03)  # leaves room for the legend
    panel.set(yscale="log", ylabel="loss / monosemantic loss")
    ticks = [0.05, 0.1, 0.2, 0.5, 1.0]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.yaxis.set_minor_formatter("")
    density_axis(panel, 1.0, min(min(found) for found in lowest.values()))
    panel.legend()
    return figure


def _points(
    panel: Axes, name: str, ratio: Mapping[float, float], further: Collection[float], marker: str, color: str
) -> None:
    """The points of a line by density, filled or thick at the densities `further`."""
    for has, face, edge in ((True, color, 1.8), (False, "white", 0.8)):
        some = {p: value for p, value in ratio.items() if (p in further) == has}
        style = {"ms": 4, "color": color, "mfc": face, "mew": edge if marker == "x" else 0.8, "zorder": 3}
        panel.plot(list(some), list(some.values()), marker, label=name if has else None, **style)


def neuron_graph(axes: Axes, W1: NDArray, W2: NDArray, names: list[int] | None = None, faint: float = 0.08) -> None:
    """Inputs, neurons and outputs as three columns of nodes; W1 [hidden, feature], W2 [feature, hidden] as lines.

    Width: abs(weight); orange positive, purple negative; weights below `faint` of the largest are left out.
    names: of the features, 0, 1, ... by default.
    """
    hidden, features = W1.shape
    rows_x, rows_h = (np.linspace(1, 0, number + 2)[1:-1] for number in (features, hidden))
    for matrix, left, right, start in ((W1.T, rows_x, rows_h, 0), (W2.T, rows_h, rows_x, 1)):
        matrix = matrix / np.abs(matrix).max()
        for s, t in zip(*np.nonzero(np.abs(matrix) > faint), strict=True):
            look = {"color": "#e08214" if matrix[s, t] > 0 else "#5e3c99", "lw": 2.6 * abs(matrix[s, t])}
            axes.plot([start, start + 1], [left[s], right[t]], solid_capstyle="round", zorder=1, **look)
    axes.scatter(np.ones(hidden), rows_h, s=34, color="white", edgecolor="black", lw=0.8, zorder=3)
    for name, y in zip(range(features) if names is None else names, rows_x, strict=True):
        axes.scatter([0.0, 2.0], [y, y], s=34, color=feature_color(name), zorder=3)
        axes.text(-0.12, y, f"$x_{{{name}}}$", ha="right", va="center")
        axes.text(2.12, y, f"$y_{{{name}}}$", ha="left", va="center")
    axes.set(xlim=(-0.5, 2.5), ylim=(0, 1))
    axes.axis("off")
