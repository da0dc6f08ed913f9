"""Training conditions: maps, shares and lines of success, and starts in the plane of two weights."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from studies import tables
from studies.intervals import Share, share
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, panel_row

SHARED = {"sharex": True, "sharey": True, "squeeze": False}  # a grid of panels


def _batch_name(batch: int | None) -> str:
    if batch is None:
        return "∞"
    return f"{batch // 1024}k" if batch >= 1024 else str(batch)


def share_line(ax: Axes, values: Sequence[float], shares: Iterable[Share], label: str, **look: object) -> None:
    """Shares against values (a log axis), with their intervals as error bars."""
    middle, low, high = np.array(list(shares)).T
    errors = np.maximum([middle - low, high - middle], 0)
    ax.errorbar(values, middle, errors, label=label, marker="o", capsize=1.5, elinewidth=0.6, **look)
    ax.set(xscale="log", ylim=(-0.03, 1.03))
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.minorticks_off()


def difference_maps(
    rows: dict[str, Sequence], titles: Iterable[str], rates: Sequence[float], batches: Sequence[int | None]
) -> Figure:
    """Shares [task, rate, batch] of starts that succeed, in per cent: a panel for each task, a row for each label.

    The first batch itself in black, the others minus it: orange is more, purple less.
    """
    titles = list(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(TEXT_WIDTH, 3.4), **SHARED)
    for row, (label, panels) in zip(axes, rows.items(), strict=True):
        for ax, shares in zip(row, panels, strict=True):
            table = np.array(shares)
            table[:, 1:] -= table[:, :1]
            colours = np.concatenate([0 * table[:, :1], table[:, 1:]], 1)
            texts = [
                [f"{first:.0f}", *(f"{x:+.0f}" if round(x) else "0" for x in rest)] for first, *rest in 100 * table
            ]
            look = {"cmap": SIGNED, "vmin": -1, "vmax": 1, "origin": "lower"}
            image = tables.table(ax, colours, texts, rates, [_batch_name(batch) for batch in batches], **look)
            ax.axvline(0.5, color="black", lw=0.8)
        row[0].set_ylabel(f"{label}\nlearning rate")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=7.5)
    for ax in axes[-1]:
        ax.set_xlabel("batch size")
    bar = figure.colorbar(image, ax=axes, label="batch minus exact (∞), in points", shrink=0.7)
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=["-100", "-50", "0", "+50", "+100"])
    return figure


def steps_figure(gains: Tensor, steps: Sequence[int], counts: Sequence[tuple[int, int]]) -> Figure:
    """What noise adds to success [setting, number of steps]: a thin line for each setting, their mean bold.

    counts: how many settings are clearly better and how many clearly worse at each of steps, said below it.
    """
    figure, ax = plt.subplots(figsize=(4.6, 2.1))
    points = 100 * array(gains).T
    ax.plot(steps, points, color="0.6", lw=0.5)
    ax.plot(steps, points.mean(1), color="C0", lw=2.4, marker="o", ms=4)
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xscale="log", xlabel="steps of training", ylabel="success: batches of 128\nminus exact, in points")
    ax.set_xticks(steps, [f"{s:,}\n{more} better\n{less} worse" for s, (more, less) in zip(steps, counts, strict=True)])
    ax.minorticks_off()
    beside = {"transform": ax.get_yaxis_transform(), "va": "center"}
    ax.text(1.01, points[-1].mean(), "mean", color="C0", weight="bold", **beside)
    ax.text(1.01, 0, "no effect", **beside)
    return figure


def rates_figure(panels: Sequence[dict], colours: Sequence[Sequence[int]]) -> Figure:
    """Shares of starts that succeed against the learning rate, panels beside each other.

    panels: flags [start] by name, two numbers of steps (the first is dotted) and rate. colours: the number of each
    name's colour.
    """
    figure, axes = panel_row(len(panels), 3.0)
    for ax, flags, numbers in zip(axes, panels, colours, strict=True):
        for (name, by_steps), number in zip(flags.items(), numbers, strict=True):
            for (steps, by_rate), style in zip(by_steps.items(), (":", "-"), strict=True):
                look = {"color": f"C{number}", "ls": style, "ms": 3}
                share_line(ax, list(by_rate), map(share, by_rate.values()), f"{name}, {steps:,}", **look)
        rates = sorted({a for by_steps in flags.values() for by_rate in by_steps.values() for a in by_rate})
        ax.set_xticks(rates, [f"{a:g}" for a in rates])
        ax.set_xlabel("learning rate")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=7)
    axes[0].set_ylabel("success")
    return figure


def starts_in_plane(ax: Axes, start: Tensor, end: Tensor, flags: Tensor) -> None:
    """Two weights [start, 2] of each start before and after training: a line from one to a dot, orange by its flag."""
    for begin, finish, flag in zip(array(start), array(end), array(flags), strict=True):
        ax.plot(*np.stack([begin, finish]).T, color="C0" if flag else "0.6", lw=0.4, zorder=2 if flag else 1)
    ax.plot(*array(start[flags]).T, "x", color="C0", ms=3.5, mew=0.8)
    ax.plot(*array(start[~flags]).T, "x", color="0.6", ms=3.5, mew=0.8)
    ax.plot(*array(end).T, "o", color="black", ms=2.5)
    ax.axhline(0, color="0.85", lw=0.6, zorder=0)
    ax.axvline(0, color="0.85", lw=0.6, zorder=0)
    ax.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel="$w_1$")
