"""Four million one-neuron models on a dask cluster of two processes, one of them killed on the way, and alone.

A sweep keeps the best start of each cell; each process has one thread. Efficiency is the time of one worker process
over twice the time of two, both sides in one run, the best of each, without a kill, for one million models. Peak memory
is that of a fresh client process, beside what it has after its imports. Needs dask[distributed].

    python benchmarks/cluster.py
"""

import os
import signal
import threading
import time
from multiprocessing import get_context

os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # of this process and of its workers

import torch
from distributed import Client, LocalCluster

import toymodels as tm

GRID = {"densities": torch.logspace(0, -2, 1000), "importances": torch.logspace(-1, 1, 100)}
FEW, MANY, REPEATS = 10, 40, 2  # starts of a cell: one million models for the ratio, four for the rest
COMPARED = "W", "b", "loss", "phase", "share"


def sweep(executor=None, restarts=MANY):
    return tm.phase_diagram("relu", **GRID, restarts=restarts, keep="best", executor=executor)


def cluster(processes):
    return LocalCluster(
        n_workers=processes, threads_per_worker=1, dashboard_address=None, env={"NUMBA_NUM_THREADS": "1"}
    )


def warm(client):
    """Every worker has imported the package and its compiled code."""
    client.run(tm.phase_diagram, "relu", densities=[0.5], importances=[1.0], restarts=2)


def timed(client):
    """Seconds of one million models, and CPU seconds of the workers."""
    before, start = sum(client.run(time.process_time).values()), time.perf_counter()
    sweep(client.get_executor(), FEW)
    return time.perf_counter() - start, sum(client.run(time.process_time).values()) - before


def peak():
    """Largest resident memory of this process so far, MiB (Linux)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10


def client_with_a_kill(address, delay, results):
    """A fresh process: four million models on the cluster at this address, one of whose workers dies after a delay."""
    with Client(address) as client:
        victim = next(iter(client.run(os.getpid).values()))
        before, start = peak(), time.perf_counter()
        killer = threading.Timer(delay, os.kill, (victim, signal.SIGKILL))
        killer.start()
        diagram = sweep(client.get_executor())
        taken = time.perf_counter() - start
        assert killer.finished.is_set(), "the sweep was over before the kill"
        results.put((before, peak(), taken, {name: getattr(diagram, name).numpy() for name in COMPARED}))


def main():
    with cluster(1) as one, Client(one) as single, cluster(2) as two, Client(two) as double:
        warm(single), warm(double)
        pairs = []
        for _ in range(REPEATS):
            pairs.append((timed(single), timed(double)))
            words = [f"{wall:.1f} s ({cpu:.1f} s of CPU)" for wall, cpu in pairs[-1]]
            print("one million models: one process {}, two {}".format(*words), flush=True)
        walls, cpus = zip(
            *((min(pair) for pair in zip(*side, strict=True)) for side in zip(*pairs, strict=True)), strict=True
        )
        print(
            f"efficiency of two processes {walls[0] / (2 * walls[1]):.2f}; by CPU time {cpus[0] / cpus[1]:.2f}",
            flush=True,
        )
        context = get_context("spawn")
        results = context.Queue()
        process = context.Process(target=client_with_a_kill, args=(two.scheduler_address, walls[1], results))
        process.start()
        before, most, taken, found = results.get()
        process.join()
    print(f"four million models, one worker killed after {walls[1]:.0f} s: {taken:.1f} s", flush=True)
    print(f"client: {before:.0f} MiB before, at most {most:.0f} MiB", flush=True)
    start = time.perf_counter()
    alone = sweep()
    print(f"the same in one process without a cluster: {time.perf_counter() - start:.1f} s")
    print("the same bits:", all(torch.equal(getattr(alone, name), torch.from_numpy(found[name])) for name in COMPARED))


if __name__ == "__main__":
    main()
