"""Draw figures/thresholds: the original's places of ten changes, where the optimum changes, and where training does.

python scripts/draw_thresholds.py, after the notebooks: the places are those that they recorded, as printed. The rows
are those of the table of ten thresholds in FINDINGS, by verdict.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key, use_style
from toymodels.plots.base import TEXT_WIDTH

ROOT = Path(__file__).resolve().parents[1]
LBFGS, ADAM = "^", "v"  # markers of training
# change: (the original's densities around it, key of the optimum if there is one, training by its key)
Change = tuple[tuple[float, float], str | None, dict[str, str]]
MOVED: dict[str, Change] = {
    "a pentagon breaks into two pairs": (  # its places are densities of one feature, relative to the others
        (0.4, 0.4),
        "perturbed.crossing",
        {"perturbed.half": LBFGS, "perturbed.half_adam": ADAM},
    ),
    "three couples of features: the first merges": (
        (0.05, 0.05),
        "collapse.one",
        {"collapse.one_half": LBFGS, "collapse.one_half_adam": ADAM},
    ),
    "three couples of features: the last merges": (
        (0.2, 0.25),
        "collapse.three",
        {"collapse.three_half": LBFGS, "collapse.three_half_adam": ADAM},
    ),
    "the equal pair stops being best, $r=1$": ((4 / 7, 4 / 7), "phase.triple_relaxed", {}),
    "pure pairs of neurons become best": ((0.04, 0.05), "hidden.edge_pairs", {}),
}
REFUTED: dict[str, Change] = {"six features in four neurons are best": ((0.12, 0.12), None, {})}
CONFIRMED: dict[str, Change] = {
    "three couples of features: the second merges": (
        (0.15, 0.15),
        "collapse.two",
        {"collapse.two_half": LBFGS, "collapse.two_half_adam": ADAM},
    ),
    "features begin to share neurons": ((0.5, 0.5), "hidden.edge_dedicated", {}),
    "three features in two neurons stop being best": ((0.15, 0.2), "hidden.edge_three_in_two", {}),
    "five features in three neurons stop being best*": ((0.12, 0.15), "hidden.edge_five_in_three", {}),
}
BLOCKS = {"moved": MOVED, "refuted": REFUTED, "confirmed": CONFIRMED}
HEADS = {"moved": "farther than 10 %", "refuted": "never the optimum", "confirmed": "within 10 %"}
SAMPLED = "hidden."  # keys of losses that are sampled; the others are exact
ABOUT_HALF_TO = {"collapse.three_half_adam": 0.39}  # up to there about half of the starts have changed
NEAR = 0.1  # how far, of the original's place, a change may lie off and still count as at that place; our choice
COLUMNS = -1.1, 1.04, 1.38, 1.79  # of words and numbers, in widths of the axes; the rules end at EDGE
EDGE = 2.14
LIMITS = 0.8, 0.026  # of the densities, dense data on the left
BELOW = {LBFGS: 0.46, ADAM: 0.94}  # of training under the optimum, in rows
ORIGINAL, OPTIMUM, BAND = "#d01c8b", "#2c6fbb", "#f7dcec"
DIAMOND = {"marker": "D", "color": OPTIMUM, "ms": 6, "mew": 1.1, "lw": 0}
TRIANGLE = {"color": "black", "ms": 4, "mew": 0.7, "lw": 0}


def away(place: float, between: tuple[float, float]) -> float:
    """How far place lies from the nearest density of the original, as a share of it; 0 inside."""
    return abs(place / min(max(place, between[0]), between[1]) - 1)


def recorded() -> dict[str, str]:
    """The recorded numbers by key, as printed."""
    return {
        key: entry["text"] for key, entry in by_key(json.loads((ROOT / "figures" / "numbers.json").read_text())).items()
    }


def write(ax: Axes, row: float, *words: str, **style: object) -> None:
    """Words of one row, in COLUMNS."""
    for x, word in zip(COLUMNS, words, strict=False):
        ax.text(x, row, word, transform=ax.get_yaxis_transform(), va="center", size=7, **style)


def draw_row(ax: Axes, row: float, name: str, change: Change, texts: dict[str, str]) -> None:
    """One change: the optimum, training below it, and the numbers at the right."""
    between, optimum, training = change
    seen, how = "–".join(f"{place:g}" for place in dict.fromkeys(between)), "between two"
    if between == (4 / 7, 4 / 7):
        seen, how = "4/7 ≈ 0.571", "by formulas"
    elif between[0] == between[1]:
        how = "stated"
    write(ax, row, f"  {name}", seen, how, texts[optimum] if optimum else "at no density")
    ax.axhline(row - 0.5, COLUMNS[0], EDGE, color="0.85", lw=0.5, zorder=0, clip_on=False)
    tall = [row - 0.4, row + 0.4 + 0.8 * bool(training)]
    ax.fill_betweenx(tall, between[0] * (1 - NEAR), between[1] * (1 + NEAR), color=BAND, lw=0)
    ax.fill_betweenx(tall, *between, color=ORIGINAL, alpha=0.6, lw=1.2)
    if optimum:
        face = "white" if optimum.startswith(SAMPLED) else OPTIMUM
        ax.plot(float(texts[optimum]), row, mfc=face, **DIAMOND)
    for key, shape in training.items():
        ends = [float(texts[key]), ABOUT_HALF_TO.get(key, float(texts[key]))]
        ax.plot(ends, [row + BELOW[shape]] * 2, color="black", lw=0.7)
        ax.plot(ends[0], row + BELOW[shape], shape, mfc="black" if shape == LBFGS else "white", **TRIANGLE)


def main() -> None:
    use_style()
    texts = recorded()
    figure, ax = plt.subplots(figsize=(TEXT_WIDTH, 3.2))
    figure.set_layout_engine("none")
    ax.set_position((0.3455, 0.1, 0.3, 0.84))
    write(ax, 0, "", "place in\nthe original", "how it is\ngiven there", "place of\nthe optimum", color="0.4")
    row = 0.0
    for block, changes in BLOCKS.items():
        row += 1.1
        write(ax, row, f"{block.capitalize()}: {HEADS[block]}", weight="bold")
        for name, change in changes.items():
            row += 1
            draw_row(ax, row, name, change, texts)
            row += 0.8 * bool(change[2])
    ax.set(xscale="log", xlim=LIMITS, ylim=(row + 0.6, -0.6), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.set_xticks([0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03], ["0.7", "0.5", "0.3", "0.2", "0.1", "0.05", "0.03"])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("density $p$ (dense data on the left)", size=7, labelpad=2)
    key = [
        plt.Line2D([], [], label="optimum, exact loss", **DIAMOND),
        plt.Line2D([], [], mfc="white", label="optimum, sampled loss", **DIAMOND),
        plt.Line2D([], [], marker=LBFGS, label="training, L-BFGS", **TRIANGLE),
        plt.Line2D([], [], marker=ADAM, mfc="white", label="training, Adam", **TRIANGLE),
        plt.Rectangle((0, 0), 1, 1, fc=ORIGINAL, alpha=0.6, label="the original"),
        plt.Rectangle((0, 0), 1, 1, fc=BAND, label="within 10 %"),
    ]
    close = {"columnspacing": 1.0, "handlelength": 1.3, "handletextpad": 0.2, "borderaxespad": 0.1}
    figure.legend(handles=key, loc="upper center", ncols=6, fontsize=7, **close)
    for kind, dated in (("pdf", "CreationDate"), ("png", "Software")):  # without these equal drawings are equal files
        figure.savefig(ROOT / "figures" / f"thresholds.{kind}", metadata={dated: None})
    plt.close(figure)


if __name__ == "__main__":
    main()
