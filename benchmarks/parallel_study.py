"""Independent trainings: threads inside each step against single-threaded workers, idle and beside a neighbour.

The settings are those of notebook 10 (five features in two dimensions, exact gradients and batches), shortened. One
process with two threads trains them one after the other; chunks.workers() trains as many at a time as there are cores.
The neighbour is one busy process, started and stopped here. Both sides in one run, alternating.

    PYTHONPATH=notebooks python benchmarks/parallel_study.py
"""

import os
import time
from contextlib import contextmanager
from multiprocessing import get_context

import torch

import toymodels as tm
from studies.conditions import outcomes
from toymodels import chunks

ROUNDS = 4
IMPORTANCE = 0.9 ** torch.arange(5, dtype=torch.float64)
SETTINGS = [
    {
        "kind": tm.ReLUModel,
        "features": tm.SparseFeatures(5, [0.1, 0.2, 0.58]),
        "importance": IMPORTANCE,
        "n_hidden": 2,
        "starts": 48,
        "seed": seed,
        "steps": 300,
        "lr": 0.03,
        "batch": batch,
    }
    for batch in (1024, None, 128, 16)  # the longest first, as all_outcomes does
    for seed in range(3)
]


def spin():
    """A busy neighbour: arithmetic in one process until it is ended."""
    torch.set_num_threads(1)
    while True:
        torch.randn(200, 200) @ torch.randn(200, 200)


@contextmanager
def neighbour():
    process = get_context("spawn").Process(target=spin, daemon=True)
    process.start()
    time.sleep(3)  # it has imported and spins
    yield
    process.terminate()
    process.join()


def seconds(executor):
    """Wall time of the list; executor None: in this process, threads inside a step."""
    start = time.perf_counter()
    chunks.run(outcomes, SETTINGS, executor=executor)
    return time.perf_counter() - start


def both_sides(pool):
    """The best of the rounds: threads, workers."""
    pairs = [(seconds(None), seconds(pool)) for _ in range(ROUNDS)]
    for pair in pairs:
        print("  threads {:.1f} s, workers {:.1f} s".format(*pair), flush=True)
    return [min(side) for side in zip(*pairs, strict=True)]


if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(cores)
    with chunks.workers() as pool:
        seconds(None), seconds(pool)  # compiles, starts the workers
        idle = both_sides(pool)
        with neighbour():
            print("beside a neighbour", flush=True)
            beside = both_sides(pool)
    print(f"{len(SETTINGS)} trainings of 144 models, {cores} cores: seconds, the best of {ROUNDS}")
    print(f"{'':28s} {'threads':>8s} {'workers':>8s} {'ratio':>6s}")
    for name, (threads, workers) in (("idle", idle), ("beside one busy process", beside)):
        print(f"{name:28s} {threads:8.1f} {workers:8.1f} {threads / workers:6.2f}")
    print(f"{'beside a neighbour / idle':28s} {beside[0] / idle[0]:8.2f} {beside[1] / idle[1]:8.2f}")
