"""This version against version 0.1, alternating in one run: the exact loss, a sweep, and a list of trainings.

Version 0.1 is checked out from this repository's history into a temporary folder. Each side runs in processes of its
own: CPU time on one thread of the exact loss with its gradient, and of a sweep; wall time on all cores of a list of
trainings (five features in two dimensions, batches and exact gradients), in version 0.1 with threads inside a step, now
as single-threaded workers, alone and beside one busy process.

    python benchmarks/against_0_1.py [FOLDER that has version 0.1 as toymodels-0.1, where this one has no history]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VERSION_0_1 = "008e9a2"
ROOT = Path(__file__).resolve().parents[1]
SIZES = ((5, 2), (20, 5), (80, 20))
ROUNDS = 2


def best_of(function, clock, rounds=5):
    function()  # compiles
    taken = []
    for _ in range(rounds):
        start = clock()
        function()
        taken.append(clock() - start)
    return min(taken)


def one_thread():
    """CPU seconds of loss and gradient of a model by size, and of a million one-neuron models (a tenth, times ten)."""
    import torch

    import toymodels as tm

    result = {}
    for n, m in SIZES:
        count = max(2, 32768 // n**2)
        models = tm.ReLUModel(n, m, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        objective = tm.PopulationLoss(tm.SparseFeatures(n, 0.1), torch.ones(n))
        result[f"loss and gradient, n={n}, m={m}"] = best_of(lambda: objective(models), time.process_time) / count  # noqa: B023
    grid = {"densities": torch.logspace(0, -2, 100), "importances": torch.logspace(-1, 1, 100)}
    sweep = best_of(lambda: tm.phase_diagram("relu", **grid, restarts=10), time.process_time, 2)
    return {**result, "a million one-neuron models": 10 * sweep}


def train_one(batch, seed):
    import torch

    import toymodels as tm

    starts = 48
    features = tm.SparseFeatures(5, torch.tensor([0.1, 0.2, 0.58]).repeat(starts))
    importance = 0.9 ** torch.arange(5, dtype=torch.float64)
    model = tm.ReLUModel(5, 2, 3 * starts, generator=torch.Generator().manual_seed(seed))
    objective = (
        tm.PopulationLoss(features, importance, 16)
        if batch is None
        else tm.SampledLoss(features, importance, batch, generator=torch.Generator().manual_seed(seed + 100))
    )
    tm.train(model, objective, 300, 0.03)
    return {"W": model.W.detach().numpy()}


def trainings():
    """Wall seconds of twelve trainings of 144 models."""
    longest_first = 1024, None, 128, 16
    settings = [{"batch": batch, "seed": seed} for batch in longest_first for seed in range(3)]
    try:
        from toymodels import chunks
    except ImportError:
        return {
            "twelve trainings": best_of(lambda: [train_one(**setting) for setting in settings], time.perf_counter, 2)
        }
    with chunks.workers() as pool:
        run = lambda: chunks.run(train_one, settings, executor=pool)  # noqa: E731
        return {"twelve trainings": best_of(run, time.perf_counter, 2)}


def side(folder, part):
    threads = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} if part == "one_thread" else {}
    path = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    command = [sys.executable, "-c", f"import json, against_0_1; print(json.dumps(against_0_1.{part}()))"]
    environment = {**os.environ, **threads, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder, part, label=""):
    rounds = [(side(folder, part), side(ROOT, part)) for _ in range(ROUNDS)]
    for name in rounds[0][0]:
        then, now = (min(pair[k][name] for pair in rounds) for k in range(2))
        print(f"{name + label:45} {then:12.4g} {now:12.4g} {now / then:6.2f}", flush=True)


def main():
    from parallel_study import neighbour  # not at the top: version 0.1 cannot import it

    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1] if sys.argv[1:] else name).resolve() / "toymodels-0.1"
        if not folder.exists():
            subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
            subprocess.run(["git", "checkout", "--quiet", VERSION_0_1], cwd=folder, check=True)
        print(f"{'seconds, the best of the rounds':45} {'version 0.1':>12} {'now':>12}  ratio")
        compare(folder, "one_thread")
        compare(folder, "trainings")
        with neighbour():
            compare(folder, "trainings", ", beside a busy process")


if __name__ == "__main__":
    main()
