"""Accuracy of the exact ReLU loss against the number of Fourier terms, its cost against n, and the closed form.

python benchmarks/exact_loss.py
"""

import time

import numpy as np
import torch

import toymodels as tm
from toymodels.engine import mixture


def converged_models(n, m, decay):
    density = torch.tensor([1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001], dtype=torch.float64)
    features, importance = tm.SparseFeatures(n, density), decay ** torch.arange(n, dtype=torch.float64)
    runs = tm.search(tm.ReLUModel, features, importance, m, 4, torch.Generator().manual_seed(0), keep=1)
    return runs.best, features, importance


def closed_against_series():
    """Microseconds of CPU time a model, the best of ten alternating runs; two dimensions, density 0.2."""
    print("\nLoss and gradient of one model of few features: closed form against 24 terms of the series, one thread")
    random = np.random.default_rng(0)
    for n in (3, 4, 5, 6):
        W, b = 0.57 * random.normal(size=(1000, 2 * n)), -0.1 * random.random((1000, n))
        theta, some = np.concatenate([W, b], 1), np.arange(1000)
        task = np.ones((1000, 1)), np.full((1000, 1, n), 0.2), np.ones((1000, n)), 0.0, 1 / 2, 1 / 3, 24
        best = {mixture.by_closed_form: np.inf, mixture.by_series: np.inf}
        for _ in range(11):  # the first compiles
            for loop in best:
                start = time.process_time()
                loop(theta, np.empty_like(theta), np.empty(1000), some, *task, np.empty((0, 0, 0, 4)))
                best[loop] = min(best[loop], 1e3 * (time.process_time() - start))
        closed, series = best.values()
        print(f"  n={n} {closed:6.2f} µs {series:6.2f} µs, ratio {closed / series:.2f}")


def main():
    print("\nRelative error of the loss of trained models, largest over seven densities (reference: 8192 terms)")
    for n, m, decay in ((5, 2, 0.9), (20, 5, 0.7)):
        model, features, importance = converged_models(n, m, decay)
        reference = tm.population_loss(model, features, importance, terms=8192)
        for terms in (16, 32, 64, 128, 256, 512, 1024):
            error = (tm.population_loss(model, features, importance, terms=terms) / reference - 1).abs().max()
            print(f"  n={n:3d} terms={terms:5d} {error.item():.1e}")
    print("\nCost of loss and gradient of one model, 32 terms (random W of std 1/sqrt(m), m = n/4)")
    for n in (4, 8, 16, 32, 64, 128):
        m, instances = max(1, n // 4), max(2, 4096 // n**2)
        model = tm.ReLUModel(n, m, instances, generator=torch.Generator().manual_seed(0))
        objective = tm.PopulationLoss(tm.SparseFeatures(n, 0.1), torch.ones(n))
        for _ in range(2):  # the first compiles
            start = time.perf_counter()
            objective(model)
            taken = (time.perf_counter() - start) / instances
        print(f"  n={n:4d} {1e3 * taken:9.3f} ms")
    closed_against_series()


if __name__ == "__main__":
    main()
