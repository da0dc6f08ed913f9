"""Absolute values: figures of models that compute them, and of their losses against the monosemantic model's."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from studies import absolute
from studies.neurons_figures import feature_color, stack
from toymodels.plots.base import TEXT_WIDTH, density_axis
from toymodels.plots.features import SHARING

CHAIN_COLOURS = "#5e3c99", "#e08214"


def model_and_graph(W1: NDArray, W2: NDArray) -> Figure:
    """A model W1 [hidden, feature], W2 [feature, hidden], as stack plots and as a graph of neurons."""
    figure, panels = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.1), layout="constrained")
    model_of_neurons(panels, W1, W2)
    neuron_graph(panels[2], W1, W2)
    panels[2].set_title("$x$, neurons, $y$", fontsize=9)
    return figure


def model_and_motif(W1: NDArray, W2: NDArray, found: Sequence[absolute.Motif]) -> Figure:
    """A model as stack plots, neurons by feature, and the first of the motifs found in it, if any, as a graph."""
    figure, panels = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.6), layout="constrained")
    model_of_neurons(panels, *absolute.by_feature(W1, W2))
    W1, W2 = absolute.rescaled(W1, W2)
    for motif in found[:1]:
        pair, features = [motif.shared, motif.inhibits], [motif.strong, motif.weak]
        neuron_graph(panels[2], W1[np.ix_(pair, features)], W2[np.ix_(features, pair)], features)
    panels[2].set_title("one motif", fontsize=9)
    for panel in panels:
        panel.tick_params(labelsize=7)
    return figure


def stacks(densities: Sequence[float], W1: NDArray, W2: NDArray, ratios: Sequence[float]) -> Figure:
    """Stack plots of abs(W1) [density, hidden, feature], one below the other, each with its loss ratio."""
    size = (TEXT_WIDTH, 0.88 * len(densities))
    figure, panels = plt.subplots(len(densities), 1, figsize=size, layout="constrained", squeeze=False)
    for panel, p, one, other, ratio in zip(panels[:, 0], densities, W1, W2, ratios, strict=True):
        stack_shared(panel, *absolute.rescaled(one, other))
        panel.set_ylabel(f"$p = {p:g}$", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.set_title(f"loss over the monosemantic model's: {ratio:.3f}", fontsize=8, loc="right", pad=2)
    panels[-1, 0].set_xlabel("neurons, by the feature that each mostly stands for")
    return figure


def ratios(
    carried: Mapping[str, Mapping[float, tuple[float, float]]], random: Mapping[str, Mapping[float, float]]
) -> Figure:
    """Loss over the monosemantic model's by density, a line for each name: of models carried along the density, with
    standard errors (often smaller than the point), and of random starts."""
    figure, panel = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.5), layout="constrained")
    for (name, found), color in zip(carried.items(), CHAIN_COLOURS, strict=False):
        panel.errorbar(list(found), *zip(*found.values(), strict=True), fmt="o-", ms=3.5, color=color, label=name)
    for name, ratio in random.items():
        panel.plot(list(ratio), list(ratio.values()), "x:", color="grey", label=name)
    panel.axhline(1.0, color="black", lw=0.8)
    panel.set_ylim(bottom=0.04)  # leaves room for the legend
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("{x:g}")
    panel.tick_params(axis="y", which="both", labelsize=7)
    panel.set_ylabel("loss over the monosemantic model's")
    density_axis(panel, 1.0, min(min(found) for found in carried.values()))
    panel.legend(fontsize=7)
    return figure


def neuron_graph(axes: Axes, W1: NDArray, W2: NDArray, names: list[int] | None = None, faint: float = 0.08) -> None:
    """Inputs, neurons and outputs as three columns of nodes; W1 [hidden, feature], W2 [feature, hidden] as lines.

    Width: abs(weight); orange positive, purple negative; weights below `faint` of the largest are left out.
    names: of the features, 0, 1, ... by default.
    """
    hidden, features = W1.shape
    names = list(range(features)) if names is None else names
    rows_x, rows_h = np.linspace(1, 0, features + 2)[1:-1], np.linspace(1, 0, hidden + 2)[1:-1]
    for matrix, left, right, x0, x1 in ((W1.T, rows_x, rows_h, 0.0, 1.0), (W2.T, rows_h, rows_x, 1.0, 2.0)):
        top = np.abs(matrix).max()
        for s, t in zip(*np.nonzero(np.abs(matrix) > faint * top), strict=True):
            w = matrix[s, t] / top
            color = "#e08214" if w > 0 else "#5e3c99"
            axes.plot([x0, x1], [left[s], right[t]], color=color, lw=2.6 * abs(w), solid_capstyle="round", zorder=1)
    axes.scatter(np.ones(hidden), rows_h, s=34, color="white", edgecolor="black", lw=0.8, zorder=3)
    for i in range(features):
        axes.scatter([0.0, 2.0], [rows_x[i]] * 2, s=34, color=feature_color(names[i]), zorder=3)
        axes.text(-0.12, rows_x[i], f"$x_{{{names[i]}}}$", ha="right", va="center", fontsize=8)
        axes.text(2.12, rows_x[i], f"$y_{{{names[i]}}}$", ha="left", va="center", fontsize=8)
    axes.set_xlim(-0.5, 2.5)
    axes.set_ylim(0, 1)
    axes.axis("off")


def model_of_neurons(panels: np.ndarray, W1: NDArray, W2: NDArray) -> None:
    """Stack plots of W1 [hidden, feature] and of W2 [feature, hidden], neuron by neuron, in the first two panels."""
    for panel, W, title in zip(panels, (W1, W2.T), ("$W_1$, by neuron", "$W_2$, by neuron"), strict=False):
        stack(panel, W)
        panel.set_title(title, fontsize=9)


def stack_shared(axes: Axes, W1: NDArray, W2: NDArray) -> None:
    """Stack plot of abs(W1) [hidden, feature], neurons by what they stand for; W2 [feature, hidden].

    Colour of a feature: how much it shares neurons with others. Behind a neuron: the darker, the more polysemantic.
    """
    part = absolute.shares(W1, W2)
    sharing = (part * (1 - part)).sum(0) / np.maximum(part.sum(0), 1e-9)
    order = np.argsort(part.argmax(1), kind="stable")
    shade = (absolute.participation(W1) - 1.0) / 2.0
    colors = [SHARING(float(min(1.0, 1.5 * s))) for s in sharing]
    stack(axes, W1[order], colors, shade[order], absolute=True)
