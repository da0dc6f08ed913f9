"""The table of settings in FINDINGS.tex, typed by hand, says what the notebooks do; so does benchmarks/restarts.py."""

import json

import pytest

from toymodels.report import ROOT

SETTINGS = [  # notebook, its code, and the words of FINDINGS.tex for it
    ("01", "train(densities, 10 if SMOKE else 40, 2,", "the same, 40 starts"),
    ("02", '("dense", dense, {"starts": 32, "rounds": 4, "keep": 4,', r"$p\ge0.07$: 32 starts, 4 rounds ($4\times1$)"),
    (
        "02",
        '("sparse", sparse, {"starts": 192, "rounds": 12, "keep": 8, "kicks": 8,',
        r"$p\le0.05$: 192 starts, 12 rounds ($8\times8$)",
    ),
    ("02", '("dense", p[:3], {"starts": 8, "rounds": 2, "keep": 1, "kicks": 2,', r"8 starts, 2 rounds ($1\times2$)"),
    ("02", '("sparse", p[3:], {"starts": 8, "rounds": 2, "keep": 1, "kicks": 2,', r"8 starts, 2 rounds ($1\times2$)"),
    ("02", "iterations=20 if SMOKE else 300,", "at most 300 iterations each"),
    ("03", "**log_grid(40, 40), restarts=10,", r"$n=2$, $m=1$, $40\times40$ cells, sampled"),
    (
        "10",
        "STEPS = {200: 64, 600: 64, 2000: 48, 6000: 32}",
        "200, 600, 2{,}000, 6{,}000 steps with 64, 64, 48, 32 starts",
    ),
    ("10", "24 if s == LAST else 48", "other seeds: 48, for 20{,}000 steps 24"),
    ("10", "lr=rate, batch=128,", "batch 128; 600 and 6{,}000 steps, 64 and 32 starts"),
    (
        "11",
        "best_models(tm.ReLUModel, 20, 5, IMPORTANCE, 12, 2, rounds=3)",
        r"search: 12 starts, 3 rounds ($2\times1$)",
    ),
    ("11", "best_models(tm.ReLUModel, 5, 2, 0.9 ** torch.arange(5), 50, 3)", "50 starts"),
    ("11", "100 if SMOKE else 1000,", "1{,}000 references, 1{,}000 inputs a side"),
    ("11", "20 if SMOKE else 200", "200 trained references"),
    ("11", "REFERENCES if SMOKE else 10_000", "10{,}000 references"),
    ("11", "size = (6, 5) if SMOKE else (40, 33)", r"$40\times33$ cells"),
]


def one_line(text):
    return " ".join(text.split())


def code_of(notebook):
    (path,) = (ROOT / "notebooks").glob(f"{notebook}_*.ipynb")
    cells = json.loads(path.read_text())["cells"]
    return one_line("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"))


@pytest.mark.parametrize(("notebook", "code", "words"), SETTINGS)
def test_the_table_of_settings_says_what_the_notebooks_do(notebook, code, words):
    table = (ROOT / "FINDINGS.tex").read_text().split(r"\label{tab:settings}")[1].split(r"\end{table}")[0]
    assert code in code_of(notebook)
    assert words in one_line(table)


def test_the_benchmark_of_restarts_searches_as_notebook_02_does():
    benchmark, notebook = one_line((ROOT / "benchmarks" / "restarts.py").read_text()), code_of("02")
    for effort in ('"starts": 32, "rounds": 4, "keep": 4', '"starts": 192, "rounds": 12, "keep": 8, "kicks": 8,'):
        assert effort in benchmark
        assert effort in notebook
