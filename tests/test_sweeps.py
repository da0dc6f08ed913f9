import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

import toymodels as tm
from studies import diagrams
from studies.canonical import phase_gap
from toymodels import sweeps

GRID = {"densities": torch.logspace(0, -1.5, 6), "importances": torch.tensor([0.2, 1.1, 4.0]), "restarts": 4}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(sweeps, "MODELS_PER_CHUNK", 20)  # 4 starts: 5 cells a chunk, 4 chunks


def assert_identical(a, b):
    for name in ("W", "b", "loss", "phase", "restart_losses", "restart_W"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("n", [2, 3])
def test_relu_diagram_agrees_with_theory_away_from_the_boundaries(n):
    grid = {"densities": torch.logspace(0, -1.5, 7), "importances": torch.logspace(-1, 1, 6), "restarts": 20}
    diagram = tm.phase_diagram("relu", n, **grid)
    p, r = diagram.densities[:, None], diagram.importances
    assert (diagram.loss <= 1.001 * tm.theory.best_canonical(p, r, n)[0]).all()
    clear = phase_gap(p, r, n) > 0.02
    agrees = diagram.phase == tm.theory.canonical_phase(p, r, n)
    assert agrees[clear].double().mean() > 0.9
    importance = torch.ones(7, 6, n, dtype=torch.float64)
    importance[..., -1] = r
    model = tm.ReLUModel.from_weights(diagram.W.flatten(0, 1), diagram.b.flatten(0, 1))
    features = tm.SparseFeatures(n, p.expand(7, 6).flatten())
    exact = tm.population_loss(model, features, importance.flatten(0, 1))
    torch.testing.assert_close(exact.view(7, 6), diagram.loss, rtol=1e-9 if n == 2 else 2e-3, atol=0)


def test_linear_diagram_keeps_the_more_important_feature():
    diagram = tm.phase_diagram("linear", densities=[1.0, 0.1, 0.01], importances=[0.3, 0.9, 1.1, 3.0], restarts=3)
    expected = [tm.Phase.IGNORED, tm.Phase.IGNORED, tm.Phase.DEDICATED, tm.Phase.DEDICATED]
    assert diagram.phase.tolist() == [[int(phase) for phase in expected]] * 3


def test_lowest_restart_is_kept_and_all_losses_are_returned():
    diagram = tm.phase_diagram("relu", **GRID)
    assert diagram.restart_losses.shape == (4, 6, 3)
    assert torch.equal(diagram.loss, diagram.restart_losses.min(0).values)
    assert diagram.W.shape == (6, 3, 1, 2)
    assert (diagram.success_rate() >= 1 / 4).all()


def test_a_model_that_has_not_converged_has_no_phase():
    diagram = tm.phase_diagram("relu", **GRID, steps=1)
    assert not diagram.converged.any()
    assert (diagram.phase == tm.Phase.NOT_CONVERGED).all()


def test_chunks_do_not_change_the_result(monkeypatch):
    small = tm.phase_diagram("relu", **GRID)
    monkeypatch.setattr(sweeps, "MODELS_PER_CHUNK", 10_000)
    assert_identical(small, tm.phase_diagram("relu", **GRID))


def test_the_best_starts_alone_are_those_of_all_starts():
    whole, best = tm.phase_diagram(tm.ReLUModel, **GRID), tm.phase_diagram(tm.ReLUModel, **GRID, keep="best")
    for name in ("W", "b", "loss", "phase", "share"):
        assert torch.equal(getattr(whole, name), getattr(best, name)), name
    assert best.restart_losses is None
    assert torch.equal(best.success_rate(), whole.success_rate())
    with pytest.raises(ValueError, match=r"within is 0.01; allowed: 0.001"):
        best.success_rate(0.01)


def test_process_pool_gives_bit_identical_results():
    serial = tm.phase_diagram("relu", **GRID)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert_identical(serial, tm.phase_diagram("relu", **GRID, executor=pool))


@pytest.mark.filterwarnings("ignore")
def test_dask_cluster_gives_bit_identical_results(tmp_path):
    distributed = pytest.importorskip("distributed")
    serial = tm.phase_diagram("relu", **GRID)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        parallel = tm.phase_diagram("relu", **GRID, executor=client.get_executor())
    assert_identical(serial, parallel)


def test_sampled_diagram_finds_the_clear_phases():
    diagram = tm.phase_diagram(
        "relu", densities=[1.0, 0.2], importances=[0.05, 1.0, 20.0], restarts=5, batch=256, steps=1500, lr=0.02
    )
    assert diagram.converged is None  # unknown after training on batches
    phases = [tm.Phase.IGNORED, tm.Phase.SUPERPOSITION, tm.Phase.DEDICATED]
    assert diagram.phase[1, 1] == phases[1]
    assert diagram.phase[:, 0].tolist() == [int(phases[0])] * 2
    assert diagram.phase[:, 2].tolist() == [int(phases[2])] * 2


def test_a_rerun_continues_from_the_store(tmp_path):
    first = tm.phase_diagram("relu", **GRID, store=tmp_path)
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 4
    times = [file.stat().st_mtime_ns for file in files]
    files[2].unlink()
    again = tm.phase_diagram("relu", **GRID, store=tmp_path)
    assert_identical(first, again)
    now = [file.stat().st_mtime_ns for file in files]
    assert [a == b for a, b in zip(times, now, strict=True)] == [True, True, False, True]


def test_different_settings_never_mix(tmp_path):
    tm.phase_diagram("relu", **GRID, store=tmp_path)
    other = tm.phase_diagram("relu", **GRID, seed=1, store=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 8
    assert_identical(other, tm.phase_diagram("relu", **GRID, seed=1))
    files = sorted(tmp_path.glob("*.npz"))  # a chunk under another's name
    files[0].write_bytes(files[1].read_bytes())
    with pytest.warns(RuntimeWarning, match=r"damaged \(its checksum or settings do not match\)"):
        [tm.phase_diagram("relu", **GRID, seed=seed, store=tmp_path) for seed in (0, 1)]


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty"])
def test_a_damaged_chunk_is_detected_and_computed_again(tmp_path, harm):
    first = tm.phase_diagram("relu", **GRID, store=tmp_path)
    file = sorted(tmp_path.glob("*.npz"))[1]
    content = bytearray(file.read_bytes())
    if harm == "flip":
        for place in range(len(content) // 3, len(content) // 3 + 200):  # more than the headers between the arrays
            content[place] ^= 0xFF
    file.write_bytes({"truncate": content[: len(content) // 2], "flip": content, "empty": b""}[harm])
    with pytest.warns(RuntimeWarning, match="is damaged .* computing it again"):
        again = tm.phase_diagram("relu", **GRID, store=tmp_path)
    assert_identical(first, again)
    assert_identical(first, tm.phase_diagram("relu", **GRID, store=tmp_path))  # mended, no warning


SCRIPT = """
import sys, time, torch, toymodels as tm
from toymodels import sweeps
sweeps.MODELS_PER_CHUNK = 20
original = sweeps.minimise
def slow(*arguments, **settings):
    time.sleep(0.3)
    return original(*arguments, **settings)
sweeps.minimise = slow
tm.phase_diagram("relu", densities=torch.logspace(0, -1.5, 6), importances=torch.tensor([0.2, 1.1, 4.0]), restarts=4,
                 store=sys.argv[1])
"""


def test_kill_in_the_middle_then_rerun_is_bit_identical(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    assert 2 <= len(done) < 4
    rerun = tm.phase_diagram("relu", **GRID, store=tmp_path)
    assert all(file.stat().st_mtime_ns == when for file, when in done.items())
    assert_identical(rerun, tm.phase_diagram("relu", **GRID))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"densities": []}, "densities is .* allowed: a list of at least one number"),
        ({"importances": [1.0, 0.0]}, "importances is 0.0; allowed: positive numbers"),
        ({"importances": [-1.0]}, "importances is -1.0; allowed: positive numbers"),
        ({"densities": [0.0]}, r"densities is 0.0; allowed: numbers in \(0, 1\]"),
        ({"densities": [1.5]}, r"densities is 1.5; allowed: numbers in \(0, 1\]"),
        ({"densities": [float("nan")]}, r"densities is nan; allowed"),
        ({"restarts": 0}, "restarts is 0; allowed: a whole number of at least 1"),
        ({"steps": -1}, "steps is -1; allowed"),
        ({"data": "Nothing"}, "data is 'Nothing'; allowed: a class, or one of"),
        ({"keep": "some"}, "keep is 'some'; allowed: 'all' or 'best'"),
    ],
)
def test_bad_grids_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tm.phase_diagram("relu", **{**GRID, **changes})
    with pytest.raises(ValueError, match="model is 'gelu'; allowed: a class, or one of"):
        tm.phase_diagram("gelu", **GRID)
    with pytest.raises(ValueError, match="n_features is 1; allowed: a whole number of at least 2"):
        tm.phase_diagram("relu", 1, **GRID)


def test_a_diagram_carries_every_parameter_of_models_without_an_exact_loss(monkeypatch):
    settings = {"densities": [0.5, 0.1], "importances": [0.5, 1.0], "restarts": 3, "batch": 16, "steps": 10}
    one, all_of_them = (tm.phase_diagram(tm.ReLUHiddenModel, 3, **settings, keep=keep) for keep in ("best", "all"))
    monkeypatch.setattr(sweeps, "MODELS_PER_CHUNK", 3)
    assert torch.equal(tm.phase_diagram(tm.ReLUHiddenModel, 3, **settings).restart_losses, all_of_them.restart_losses)
    assert one.parameters.keys() == all_of_them.parameters.keys() == {"W", "b"}
    assert all_of_them.restart_parameters["W"].shape == (3, 2, 2, 2, 3)
    assert torch.equal(one.W, all_of_them.W)


def test_who_shares_with_whom_among_three_features():
    third = 2 * torch.pi / 3
    triangle = torch.tensor([[1.0, math.cos(third), math.cos(2 * third)], [0.0, math.sin(third), math.sin(2 * third)]])
    pair = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    models = torch.stack([triangle, pair, pair[:, [0, 2, 1]], 0.4 * triangle, pair * torch.tensor([1.0, 1.0, 0.0])])
    assert diagrams.partners(models).tolist() == [3, 1, 2, 0, 0]


def test_relaxed_solutions_of_a_diagram_are_no_worse_than_its_closed_forms():
    diagram = tm.phase_diagram("relu", densities=[0.9, 0.3, 0.05], importances=[0.5, 1.0, 2.0], restarts=3, seed=0)
    forms, searches = diagrams.against_canonical(diagram), diagrams.against_relaxed(diagram)
    assert (searches.gain <= forms.gain + 1e-9).all()
    assert (searches.phase == forms.phase)[:, [0, 2]].all()  # at r = 1 is a border


def test_a_grid_thinned_keeps_its_ends():
    whole, thin = diagrams.log_grid(40, 24), diagrams.log_grid(40, 24, thin=4)
    assert [len(values) for values in whole.values()] == [40, 24]
    assert [len(values) for values in thin.values()] == [10, 6]
    assert len(diagrams.log_grid(8, 8, thin=8)["densities"]) == 5
    for grid in (whole, thin):
        assert [values[[0, -1]].tolist() for values in grid.values()] == [[1, 0.01], [0.1, 10]]


def test_a_diagram_is_compared_cell_by_cell():
    diagram = tm.phase_diagram("relu", **GRID)
    forms, searches = diagrams.against_canonical(diagram), diagrams.against_relaxed(diagram)
    p, r = diagram.densities[:, None], diagram.importances
    torch.testing.assert_close(1 - forms.gain, diagram.loss / tm.theory.best_canonical(p, r)[0])
    assert torch.equal(forms.agrees, diagram.phase == forms.phase)
    assert forms.lower.sum() > searches.lower.sum() == 0
    assert not (forms.lower & forms.higher).any()
    worse = tm.phase_diagram("relu", **GRID, steps=1)
    assert diagrams.against_relaxed(worse).higher.all()


def test_a_class_without_a_matrix_w_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match="matrix W"):
        tm.phase_diagram(tm.AbsoluteValueModel, densities=[0.5], importances=[1.0])
