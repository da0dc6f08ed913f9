"""Four million one-neuron models on a dask cluster of two processes, one of them killed on the way, and alone.

A sweep keeps the best start of each cell; each process has one thread. Efficiency is the time of one worker process
over that of all, times their number, both sides in one run, the best of each, without a kill, for one million models.
Peak memory is that of a fresh client process, beside what it has after its imports. Needs dask[distributed]. There can
be more processes, and one sweep more, of MODELS in all.

    python benchmarks/cluster.py [--processes 2] [--models 100_000_000]
"""

import argparse
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ["OMP_NUM_THREADS"] = "1"  # of this process and of its workers

import torch
from distributed import Client, LocalCluster

import toymodels as tm

GRID = {"densities": torch.logspace(0, -2, 1000), "importances": torch.logspace(-1, 1, 100)}
FEW, MANY, REPEATS = 10, 40, 2  # starts of a cell: one million models for the ratio, four for the rest
COMPARED = "W", "b", "loss", "phase", "share"


def sweep(executor=None, restarts=MANY):
    return tm.phase_diagram("relu", **GRID, restarts=restarts, keep="best", executor=executor)


def cluster(processes):
    return LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"})


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


def sweep_from_here(address, restarts, delay):
    """A sweep on the cluster at this address, one of whose workers dies after a delay, if any."""
    with Client(address) as client:
        victim = next(iter(client.run(os.getpid).values()))
        before, start = peak(), time.perf_counter()
        killer = threading.Timer(delay or 0, os.kill, (victim, signal.SIGKILL))
        if delay:
            killer.start()
        diagram = sweep(client.get_executor(), restarts)
        taken = time.perf_counter() - start
        assert not delay or killer.finished.is_set(), "the sweep was over before the kill"
        return before, peak(), taken, {name: getattr(diagram, name).numpy() for name in COMPARED}


def in_fresh_client(address, restarts, delay=None):
    """sweep_from_here in a process of its own, whose peak memory is then that of the sweep alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(sweep_from_here, address, restarts, delay).result()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--models", type=int)
    asked = parser.parse_args()
    with cluster(1) as one, Client(one) as single, cluster(asked.processes) as many, Client(many) as double:
        warm(single), warm(double)
        pairs = []
        for _ in range(REPEATS):
            pairs.append((timed(single), timed(double)))
            words = [f"{wall:.1f} s ({cpu:.1f} s of CPU)" for wall, cpu in pairs[-1]]
            print(f"one million models: one process {words[0]}, {asked.processes} processes {words[1]}", flush=True)
        walls, cpus = zip(
            *((min(pair) for pair in zip(*side, strict=True)) for side in zip(*pairs, strict=True)), strict=True
        )
        efficiency = walls[0] / (asked.processes * walls[1])
        print(
            f"efficiency of {asked.processes} processes {efficiency:.2f}; by CPU time {cpus[0] / cpus[1]:.2f}",
            flush=True,
        )
        before, most, taken, found = in_fresh_client(many.scheduler_address, MANY, walls[1])
        if asked.models:
            small, large, long, _ = in_fresh_client(many.scheduler_address, asked.models // 100_000)
            print(f"{asked.models:,} models: {long:.1f} s; client {small:.0f} MiB before, at most {large:.0f} MiB")
    print(f"four million models, one worker killed after {walls[1]:.0f} s: {taken:.1f} s", flush=True)
    print(f"client: {before:.0f} MiB before, at most {most:.0f} MiB", flush=True)
    start = time.perf_counter()
    alone = sweep()
    print(f"the same in one process without a cluster: {time.perf_counter() - start:.1f} s")
    print("the same bits:", all(torch.equal(getattr(alone, name), torch.from_numpy(found[name])) for name in COMPARED))


if __name__ == "__main__":
    main()
