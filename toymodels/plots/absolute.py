"""Absolute values: figures of models that compute them, and of their losses against the monosemantic model's."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toymodels.plots.base import TEXT_WIDTH, density_axis
from toymodels.plots.neurons import model_of_neurons, neuron_graph, ratio_line, stack_shared
from toymodels.studies import absolute, neurons

CHAIN_COLOURS = "#5e3c99", "#e08214"


def model_and_graph(W1: NDArray, W2: NDArray) -> Figure:
    """A model W1 [hidden, feature], W2 [feature, hidden], as stack plots and as a graph of neurons."""
    figure, panels = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.1), layout="constrained")
    model_of_neurons(panels, W1, W2)
    neuron_graph(panels[2], W1, W2)
    panels[2].set_title("$x$, neurons, $y$", fontsize=9)
    return figure


def model_and_motif(problem: neurons.Problem, theta: NDArray, found: Sequence[absolute.Motif]) -> Figure:
    """A model [parameter] as stack plots, neurons by feature, and the first of the motifs found in it, if any, as a
    graph."""
    figure, panels = plt.subplots(1, 3, figsize=(TEXT_WIDTH, 2.6), layout="constrained")
    model_of_neurons(panels, *absolute.by_feature(problem, theta))
    W1, W2 = absolute.rescaled(*neurons.weights(problem, theta)[:2])
    for motif in found[:1]:
        pair, features = [motif.shared, motif.inhibits], [motif.strong, motif.weak]
        neuron_graph(panels[2], W1[np.ix_(pair, features)], W2[np.ix_(features, pair)], features)
    panels[2].set_title("one motif", fontsize=9)
    for panel in panels:
        panel.tick_params(labelsize=7)
    return figure


def stacks(problem: neurons.Problem, best: Mapping[float, absolute.Found]) -> Figure:
    """Stack plots of abs(W1), one below the other, of the lowest model at each density, with its loss ratio."""
    size = (TEXT_WIDTH, 0.88 * len(best))
    figure, panels = plt.subplots(len(best), 1, figsize=size, layout="constrained", squeeze=False)
    for panel, (p, found) in zip(panels[:, 0], best.items(), strict=True):
        stack_shared(panel, *absolute.rescaled(*neurons.weights(problem, found.theta)[:2]))
        panel.set_ylabel(f"$p = {p:g}$", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.set_title(f"loss over the monosemantic model's: {found.ratio:.3f}", fontsize=8, loc="right", pad=2)
    panels[-1, 0].set_xlabel("neurons, by the importance of their largest feature")
    return figure


def ratios(
    carried: Mapping[str, Mapping[float, absolute.Found]], random: Mapping[str, Mapping[float, float]]
) -> Figure:
    """Loss over the monosemantic model's by density, a line for each name: of models carried along the density, and
    of random starts."""
    figure, panel = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.5), layout="constrained")
    for (name, best), color in zip(carried.items(), CHAIN_COLOURS, strict=False):
        ratio_line(panel, best, color=color, label=name)
    for name, ratio in random.items():
        panel.plot(list(ratio), list(ratio.values()), "x:", color="grey", label=name)
    panel.axhline(1.0, color="black", lw=0.8)
    panel.set_yscale("log")
    panel.set_ylabel("loss over the monosemantic model's")
    density_axis(panel, 1.0, min(min(best) for best in carried.values()))
    panel.legend(fontsize=7)
    return figure
