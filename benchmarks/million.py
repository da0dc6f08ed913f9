"""A million one-neuron ReLU models to convergence, against the plain loop that an earlier replication ran.

Plain loop: batched PyTorch, Adam 1e-2, 6,000 steps of batch 64, ten times 100,000 models; some steps are timed and the
rest extrapolated. Also: is every start converged, does cost grow in proportion to the number of models, peak memory.

    python benchmarks/million.py
"""

import os
import resource
import time

import torch

import toymodels as tm

GRID = {"densities": torch.logspace(0, -2, 1000), "importances": torch.logspace(-1, 1, 100)}


def plain_step_seconds(models=100_000, batch=64, steps=3):
    W = torch.nn.Parameter(torch.randn(models, 1, 2) * 0.8)
    b = torch.nn.Parameter(torch.zeros(models, 2, 1))
    density = torch.rand(models, 2, 1)
    optimizer = torch.optim.Adam([W, b], lr=1e-2)
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        x = torch.rand(batch, models, 2, 1) * (torch.rand(batch, models, 2, 1) < density)
        out = torch.relu(W.transpose(1, 2) @ (W @ x) + b)
        loss = ((x - out) ** 2).sum((2, 3)).mean(0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return sum(times[1:]) / steps


def timed(restarts, **settings):
    start = time.perf_counter()
    diagram = tm.phase_diagram("relu", **GRID, restarts=restarts, **settings)
    return time.perf_counter() - start, diagram


def main():
    tm.phase_diagram("relu", restarts=1)  # warm-up: compiles
    print(f"\nOne-neuron ReLU models to convergence, {os.cpu_count()} cores")
    for restarts in (1, 5, 10, 20, 40):
        taken, diagram = timed(restarts)
        print(f"  {restarts * 100_000:9,d} models {taken:6.1f} s  {1e6 * taken / restarts / 1e5:5.1f} µs a model")
        if restarts == 10:
            million, first = taken, diagram
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB (4 million models)")
    _, twice = timed(10, steps=2000)
    _, finer = timed(10, steps=2000, tolerance=1e-11)
    for name, other in (("twice the steps", twice), ("twice the steps and a tolerance of 1e-11", finer)):
        better = (other.restart_losses < 0.999 * first.restart_losses).double().mean().item()
        print(f"starts that improve by more than 0.1 % with {name}: {better:.3%}")
    step = plain_step_seconds()
    plain = 10 * 6000 * step
    print(f"plain loop: {step:.2f} s a step, {plain / 3600:.1f} h extrapolated; ratio {plain / million:.0f}")


if __name__ == "__main__":
    main()
