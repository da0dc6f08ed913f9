"""Section 2, n=20, m=5: how much lower are the losses found with ten times the starts and kept models?

Compares with the committed numbers of notebook 02. Takes about ten minutes on two cores.

    python benchmarks/restarts.py
"""

import json
import os

import torch

import toymodels as tm
from toymodels.report import ROOT

DENSITIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


def main():
    numbers = json.loads((ROOT / "figures" / "numbers.json").read_text())["02_demonstrating_superposition"]
    density = torch.tensor(DENSITIES, dtype=torch.float64)
    runs = tm.search(
        tm.ReLUModel,
        tm.SparseFeatures(20, density),
        0.7 ** torch.arange(20, dtype=torch.float64),
        n_hidden=5,
        starts=320,
        rounds=8,
        keep=60,
        generator=torch.Generator().manual_seed(100),
        progress="ten times the search",
        iterations=2000,
    )
    print(f"\nLowest loss / p of notebook 02 against ten times the search, n=20, m=5, {os.cpu_count()} cores")
    for p, loss in zip(DENSITIES, (runs.best_loss / density).tolist(), strict=True):
        if (key := f"demo.loss_{p:g}") in numbers:
            committed = numbers[key]["value"]
            print(f"  p = {p:<6g} committed {committed:.5f}, here {loss:.5f}: {committed / loss - 1:+.2%}")


if __name__ == "__main__":
    main()
