"""Draw figures/thresholds: where the original sees a change, where the best solution changes, and where training does.

python scripts/draw_thresholds.py, after the notebooks: the numbers are those that they recorded.
"""

import json
import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks"))
from studies.report import by_key, use_style
from toymodels.plots.base import TEXT_WIDTH, density_axis

ROOT = Path(__file__).resolve().parents[1]
LBFGS, ADAM = "^", "v"  # markers of training
# finding: {section and change: (the original's densities around it, key of the optimum, training by its key)}
BLOCKS = {
    "the best solution changes elsewhere": {
        "§9  a pentagon breaks (relative density)": (
            (0.4, 0.4),
            "perturbed.crossing",
            {"perturbed.half": LBFGS, "perturbed.half_adam": ADAM},
        ),
        "§9  all of three pairs of partners merge": (
            (0.2, 0.25),
            "collapse.three",
            {"collapse.three_half": LBFGS, "collapse.three_half_adam": ADAM},
        ),
        "§9  one of three pairs of partners merges": (
            (0.05, 0.05),
            "collapse.one",
            {"collapse.one_half": LBFGS, "collapse.one_half_adam": ADAM},
        ),
        "§12  ten pairs of neurons begin": ((0.04, 0.05), "hidden.edge_pairs", {}),
    },
    "there, within a tenth": {
        "§9  two of three pairs of partners merge": (
            (0.15, 0.15),
            "collapse.two",
            {"collapse.two_half": LBFGS, "collapse.two_half_adam": ADAM},
        ),
        "§12  features begin to share neurons": ((0.5, 0.5), "hidden.edge_dedicated", {}),
        "§12  three features in two neurons end": ((0.15, 0.2), "hidden.edge_three_in_two", {}),
        "§12  five features in three neurons end": ((0.12, 0.15), "hidden.edge_five_in_three", {}),
    },
    "undecided: only shapes that we tried": {
        "§8  tetrahedra give way to triangles": ((0.66, 0.66), "staircase.tetrahedron_triangle", {}),
        "§8  triangles give way to opposite pairs": ((0.52, 0.52), "staircase.triangle_digon", {}),
        "§8  opposite pairs give way to larger groups": (
            (0.27, 0.27),
            "staircase.digon_ends",
            {"uniform.half_to": ADAM},
        ),
    },
}
NEAR = 0.9  # a factor of the original's place within which a change counts as at that place


def away(place: float, between: tuple[float, float]) -> float:
    """|log| of the factor from place to the nearest density of the original; 0 inside."""
    return abs(math.log(place / min(max(place, between[0]), between[1])))


def recorded() -> dict[str, float]:
    """The recorded numbers by key."""
    return {
        key: entry["value"]
        for key, entry in by_key(json.loads((ROOT / "figures" / "numbers.json").read_text())).items()
    }


def main() -> None:
    use_style()
    values = recorded()
    size, widths = (TEXT_WIDTH, 3.1), {"width_ratios": [1.0, 1.5]}
    figure, (names, ax) = plt.subplots(1, 2, figsize=size, sharey=True, gridspec_kw=widths)
    names.axis("off")
    row = -1
    for block, changes in BLOCKS.items():
        row += 1
        names.text(0, row, block, va="center", weight="bold", size=7)
        for change, (between, optimum, training) in changes.items():
            row += 1
            names.text(0.04, row, change, va="center", size=7)
            ends = np.array([*between, values[optimum]])
            ax.plot([ends.min(), ends.max()], [row, row], color="0.85", lw=0.8, zorder=1)
            near = NEAR * between[0], between[1] / NEAR
            ax.fill_between(near, row - 0.4, row + 0.4, color="#f7dcec", lw=0, zorder=0)
            ax.plot(between, [row - 0.12] * 2, "x-", color="#d01c8b", ms=4.5, lw=2, label="original")
            face = "white" if block.startswith("undecided") else "#2c6fbb"
            ax.plot(values[optimum], row - 0.12, "D", color="#2c6fbb", mfc=face, ms=4, zorder=3, label="best solution")
            for key, shape in training.items():
                ax.plot(values[key], row + 0.28, shape, color="black", ms=3.5, zorder=4)
            seen = "–".join(f"{place:g}" for place in dict.fromkeys(between))
            words = f"{seen} → {values[optimum]:.2g}"
            ax.text(1.02, row, words, transform=ax.get_yaxis_transform(), va="center", size=7)
    ax.text(1.02, -0.2, "original → best", transform=ax.get_yaxis_transform(), va="bottom", color="0.4", size=7)
    ax.plot([], [], LBFGS, color="black", ms=3.5, label="our training: up L-BFGS, down Adam")
    ax.set(yticks=[], ylim=(-0.8, row + 0.7))
    ax.invert_yaxis()
    ax.spines["left"].set_visible(False)
    density_axis(ax, 1.0, 0.025)
    ax.set_xlabel("density $p$ (of the pentagon: relative density)")
    ax.set_xticks([1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03])
    handles, labels = ax.get_legend_handles_labels()
    figure.legend([*handles[:2], handles[-1]], [*labels[:2], labels[-1]], loc="outside upper right", ncols=3)
    for kind, dated in (("pdf", "CreationDate"), ("png", "Software")):  # without these equal drawings are equal files
        figure.savefig(ROOT / "figures" / f"thresholds.{kind}", metadata={dated: None})
    plt.close(figure)


if __name__ == "__main__":
    main()
