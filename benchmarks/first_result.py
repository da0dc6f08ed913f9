"""How long the first result takes, beside `import torch`: from an empty cache and with one, all in one run.

Each line is a fresh process. Times of the package include its import and that of torch.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

BEGIN = """
import torch, toymodels as tm
g = torch.Generator().manual_seed(0)
features, importance = tm.SparseFeatures(5, [1.0, 0.2, 0.1]), 0.9 ** torch.arange(5)
model = tm.ReLUModel(5, 2, 3, generator=g)
"""
CASES = {
    "import toymodels": "import toymodels",
    "README's first train": BEGIN + "tm.train(model, tm.PopulationLoss(features, importance), steps=300, lr=0.03)",
    "first sampled training": BEGIN + "tm.train(model, tm.SampledLoss(features, importance, generator=g), steps=300)",
    "first search": BEGIN + "tm.search(tm.ReLUModel, features, importance, 2, 20, g)",
}
REPEATS = 3


def seconds(code: str, cache: str) -> float:
    """Time of a fresh process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "NUMBA_CACHE_DIR": cache}, check=True)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as warm:
        seconds("import torch", warm)  # files into memory
        torch_alone = statistics.median(seconds("import torch", warm) for _ in range(REPEATS))
        print(f"{'import torch':<24}{torch_alone:6.2f} s")
        print(f"{'':<24}{'empty cache':>22}{'with a cache':>22}")
        for name, code in CASES.items():
            with tempfile.TemporaryDirectory() as empty:
                cold = seconds(code, empty)
            seconds(code, warm)
            again = statistics.median(seconds(code, warm) for _ in range(REPEATS))
            parts = (f"{value:8.2f} s = {value / torch_alone:4.1f} ×" for value in (cold, again))
            print(f"{name:<24}" + "".join(f"{part:>22}" for part in parts))


if __name__ == "__main__":
    main()
