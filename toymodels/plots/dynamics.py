"""How models learn: levels and loss over the steps, regimes of a loss curve, paths of features in three dimensions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D
from torch import Tensor

from toymodels.plots.base import array

SET_COLOURS = (("#00441b", "#238b45", "#74c476"), ("#08306b", "#2171b5", "#6baed6"))  # greens one set, blues the other


def levels_over_steps(ax: Axes, step: Tensor, D: Tensor) -> None:
    """D_i [record, feature] over the steps, one thin line a feature, darker where it ends high."""
    values = array(D)
    for feature in np.argsort(values[-1]):
        ended = values[-1, feature] > 1 / 3
        ax.plot(array(step), values[:, feature], lw=0.8, color="C0" if ended else "0.6", zorder=2 + ended)
    ax.set(ylim=(-0.02, None), yticks=[0, 0.25, 0.5])


def shade(ax: Axes, step: Tensor, windows: np.ndarray) -> None:
    """Grey bands over the windows [window, 2] of records."""
    steps = array(step)
    for left, right in windows:
        ax.axvspan(steps[left], steps[min(right, len(steps) - 1)], color="0.9", lw=0, zorder=0)


def regimes(ax: Axes, edges: Sequence[float], letters: str, height: float = 0.93) -> None:
    """Dashed lines at the edges between regimes, and their letters."""
    for edge in edges[1:-1]:
        ax.axvline(edge, color="0.5", lw=0.6, ls="--")
    log = ax.get_xscale() == "log"
    for letter, left, right in zip(letters, edges[:-1], edges[1:], strict=True):
        middle = np.sqrt(left * right) if log else (left + right) / 2
        ax.text(middle, height, letter, transform=ax.get_xaxis_transform(), ha="center", va="top", weight="bold")


def feature_paths(ax: Axes3D, W: Tensor, limit: float = 1.1) -> None:
    """Paths of the columns of W [record, 3, feature] in space, two sets in two colours, ending in dots."""
    path = array(W)
    half = path.shape[2] // 2
    for feature in range(path.shape[2]):
        colour = SET_COLOURS[feature // half][feature % half]
        ax.plot(*path[:, :, feature].T, color=colour, lw=1.0)
        ax.plot(*zip((0, 0, 0), path[-1, :, feature], strict=True), color=colour, lw=0.5, ls=":")
        ax.plot(*path[-1:, :, feature].T, "o", color=colour, ms=4)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), zlim=(-limit, limit), xticks=[-1, 0, 1])
    ax.set_box_aspect((1, 1, 1), zoom=1.35)
    ax.set(yticks=[-1, 0, 1], zticks=[-1, 0, 1], xticklabels=[], yticklabels=[], zticklabels=[])
    ax.view_init(elev=22, azim=35)
