"""Training conditions: maps, shares and lines of success, and starts in the plane of two weights."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from studies.intervals import share
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, fraction_line, panel_row

SHARED = {"sharex": True, "sharey": True, "squeeze": False}  # a grid of panels


def difference_map(
    ax: Axes, shares: Tensor | np.ndarray, rates: Sequence[float], batches: Sequence[int | None]
) -> AxesImage:
    """Shares [rate, batch] of starts that succeed, as per cent: the first batch itself, in black, the others minus it.

    Orange is more than with the first batch, purple less.
    """
    table = array(shares).copy()
    table[:, 1:] -= table[:, :1]
    colours = table.copy()
    colours[:, 0] = 0
    image = ax.imshow(colours, cmap=SIGNED, vmin=-1, vmax=1, aspect="auto", origin="lower", rasterized=True)
    for row, column in np.ndindex(*table.shape):
        value = round(100 * table[row, column])
        text = f"{value}" if column == 0 else f"{value:+d}" if value else "0"
        dark = abs(colours[row, column]) > 0.55
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    ax.axvline(0.5, color="black", lw=0.8)
    ax.set_xticks(range(len(batches)), [_batch_name(batch) for batch in batches])
    ax.set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    ax.tick_params(length=0)
    return image


def _batch_name(batch: int | None) -> str:
    if batch is None:
        return "∞"
    return f"{batch // 1024}k" if batch >= 1024 else str(batch)


def success_line(ax: Axes, values: Sequence, flags: Sequence[Tensor], label: str, **look: object) -> Line2D:
    """fraction_line of the share of starts that succeed, from the flags [start] at each of values, 95 % intervals."""
    found = list(map(share, flags))
    return fraction_line(ax, values, [s.value for s in found], [(s.low, s.high) for s in found], label, **look)


def success_by_steps(ax: Axes, steps: Sequence[int], flags: dict[int | None, Sequence[Tensor]]) -> None:
    """Shares of starts that succeed against steps, a line for each batch size: flags [start] at each of steps.

    None is the batch without noise, in black.
    """
    for number, (batch, found) in enumerate(flags.items()):
        name, colour = ("exact", "black") if batch is None else (f"batch {batch:,}", f"C{number}")
        success_line(ax, steps, found, name, color=colour, lw=1.2, ms=3)
    ax.set_xticks(steps, [f"{s:,}" if s < 1000 else f"{s // 1000}k" for s in steps])


def success_by_rate(ax: Axes, flags: dict[str, dict[int, dict[float, Tensor]]], colours: Sequence[str]) -> None:
    """Shares of starts that succeed against the learning rate: flags [start] by name, two numbers of steps and rate.

    The first number of steps is dotted. colours: one a name. Legend below.
    """
    for (name, by_steps), colour in zip(flags.items(), colours, strict=True):
        for (steps, by_rate), style in zip(by_steps.items(), (":", "-"), strict=True):
            look = {"color": colour, "ls": style, "ms": 3}
            success_line(ax, list(by_rate), list(by_rate.values()), f"{name}, {steps:,}", **look)
    rates = sorted({a for by_steps in flags.values() for by_rate in by_steps.values() for a in by_rate})
    ax.set_xticks(rates, [f"{a:g}" for a in rates])
    ax.set_xlabel("learning rate")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=7)


def difference_maps(
    rows: dict[str, Sequence], titles: Iterable[str], rates: Sequence[float], batches: Sequence[int | None]
) -> Figure:
    """A difference_map for each task of each row: shares [task, rate, batch] of starts by the label of the row."""
    titles = list(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(TEXT_WIDTH, 3.4), **SHARED)
    for row, (label, tables) in zip(axes, rows.items(), strict=True):
        for ax, table in zip(row, tables, strict=True):
            image = difference_map(ax, np.array(table), rates, batches)
        row[0].set_ylabel(f"{label}\nlearning rate")
    outer_labels(axes, titles, "batch size")
    bar = figure.colorbar(image, ax=axes, label="batch minus exact (∞), in points", shrink=0.7)
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=["-100", "-50", "0", "+50", "+100"])
    return figure


def steps_figure(rows: dict[float, Sequence[dict]], titles: Iterable[str], steps: Sequence[int]) -> Figure:
    """success_by_steps for each task, a row for each learning rate."""
    titles = list(titles)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(TEXT_WIDTH, 3.3), **SHARED)
    for row, (rate, tasks) in zip(axes, rows.items(), strict=True):
        for ax, flags in zip(row, tasks, strict=True):
            success_by_steps(ax, steps, flags)
        row[0].set_ylabel(f"rate {rate:g}\nsuccess")
    outer_labels(axes, titles, "steps")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def rates_figure(panels: Sequence[dict], colours: Sequence[Sequence[int]]) -> Figure:
    """success_by_rate beside each other, with the numbers of their lines' colours."""
    figure, axes = panel_row(len(panels), 3.0)
    for ax, lines, numbers in zip(axes, panels, colours, strict=True):
        success_by_rate(ax, lines, [f"C{number}" for number in numbers])
    axes[0].set_ylabel("success")
    return figure


def outer_labels(axes: np.ndarray, titles: Sequence[str], below: str) -> None:
    """A grid of panels [row, column] that share axes: titles above its columns, one name below each."""
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=7.5)
    for ax in axes[-1]:
        ax.set_xlabel(below)


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
