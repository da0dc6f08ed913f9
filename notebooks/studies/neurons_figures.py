"""Neurons: heat maps of weights, the paper's stack plots and graphs of neurons."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from studies.codes import sets
from studies.neurons import polysemantic
from toymodels.plots.base import TEXT_WIDTH, density_axis

FEATURE_COLORS = [plt.get_cmap("tab10")(k) for k in (0, 1, 2, 3, 4, 5, 6, 8, 9, 7)]  # no two alike; grey comes last


def feature_color(feature: int) -> tuple:
    """A colour for each of ten features, the same in every panel; grey from the tenth on."""
    return FEATURE_COLORS[min(feature, 9)]


def stack(axes: Axes, W: NDArray) -> None:
    """Stack plot: a column for each neuron of W [hidden, feature], a rectangle for each weight, negative ones below 0.

    Polysemantic neurons are shaded.
    """
    hidden, features = W.shape
    shade = polysemantic(W)
    for a in range(hidden):
        axes.axvspan(a - 0.5, a + 0.5, color=str(1.0 - 0.16 * np.clip(shade[a], 0.0, 1.0)), lw=0, zorder=0)
    up, down = np.zeros(hidden), np.zeros(hidden)
    for i in range(features):
        w = W[:, i]
        base = np.where(w >= 0.0, up, down)
        axes.bar(range(hidden), w, 0.78, base, color=feature_color(i), edgecolor="white", linewidth=0.3, zorder=2)
        up, down = up + np.maximum(w, 0.0), down + np.minimum(w, 0.0)
    axes.axhline(0.0, color="black", lw=0.6, zorder=3)
    axes.set_xlim(-0.5, hidden - 0.5)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def heat(axes: Axes, W: NDArray, limit: float = 1.2) -> AxesImage:
    """W [feature, hidden] (or any matrix) as a heat map, orange positive and purple negative."""
    image = axes.imshow(W, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, linewidth=0.4)
    return image


def by_code(W: NDArray) -> NDArray:
    """The neurons of W [hidden, feature] in an order: those that the first feature uses first, then by the second's."""
    used = np.ones_like(W, dtype=bool)
    for feature, neurons in sets(W).items():
        used[:, feature] = ~np.isin(range(len(W)), neurons)
    return W[np.lexsort(used.T[::-1])]


def regimes(W: Mapping[float, NDArray], names: Mapping[float, str]) -> Figure:
    """Heat maps of tied weights W[p] [hidden, feature] and the name of the code of each density p, in one row."""
    figure, panels = plt.subplots(1, len(W), figsize=(TEXT_WIDTH, 2.1), sharey=True)
    for panel, (p, w) in zip(panels, W.items(), strict=True):
        image = heat(panel, by_code(w).T.clip(-1.2, 1.2))
        panel.set_title(f"$p = {p:g}$\n{names[p]}")
        panel.set_xlabel("neuron")
        panel.tick_params(length=0)
    panels[0].set_yticks(range(w.shape[1]), range(1, w.shape[1] + 1))
    panels[0].set_ylabel("feature")
    figure.colorbar(image, ax=panels, label="weight", aspect=30, extend="both")
    return figure


def basis(densities: Sequence[float], linear: Sequence[NDArray], relu: Sequence[NDArray]) -> Figure:
    """Heat maps of W [hidden, feature] with a linear hidden layer and with a ReLU, side by side for each density."""
    figure, panels = plt.subplots(1, 2 * len(densities), figsize=(TEXT_WIDTH, 2.0), layout="constrained")
    for p, pair, both in zip(densities, panels.reshape(-1, 2), zip(linear, relu, strict=True), strict=True):
        for panel, name, W in zip(pair, ("linear", "ReLU"), both, strict=True):
            heat(panel, W.T.clip(-1.2, 1.2))
            panel.set_title(f"{name}, $p = {p:g}$", fontsize=8)
            panel.set_xlabel("neuron", fontsize=8)
    panels[0].set_ylabel("feature", fontsize=8)
    return figure


def price_of_basis(
    shares: Mapping[float, float],
    starts: int,
    price: Mapping[float, float],
    with_bias: Mapping[float, float],
    edges: Sequence[float],
) -> Figure:
    """Shares of the starts near the best, and the loss over the linear-hidden optimum's without and with hidden biases,
    all by density; edges between codes dotted. A share of 0 is drawn at half a start.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.5), layout="constrained")
    left.plot(list(shares), np.maximum(list(shares.values()), 0.5 / starts), "o-", color="black", ms=3.5)
    left.axhline(0.5 / starts, color="grey", lw=0.6)
    left.text(max(shares), 0.6 / starts, f"none of {starts:,}", color="grey")
    left.set_ylabel("share of starts within\n1% of the best")
    for ratio, look, colour in ((price, "o-", "#5e3c99"), (with_bias, "s", "#e08214")):
        right.plot(list(ratio), list(ratio.values()), look, color=colour, ms=4)
    right.text(max(price), 2, "no hidden bias", color="#5e3c99")
    right.text(0.28, 1.05, "with a hidden bias", color="#e08214")
    right.axhline(1.0, color="grey", lw=0.8)
    right.set_ylabel("loss over the\nlinear-hidden optimum")
    for panel in (left, right):
        panel.set_yscale("log")
        density_axis(panel, max(price), min(price))
        for edge in edges:
            panel.axvline(edge, color="grey", lw=0.6, ls=":")
    left.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_formatter("{x:g}")
    right.tick_params(axis="y", which="both", labelsize=7)
    return figure
