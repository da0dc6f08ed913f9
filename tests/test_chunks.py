import numpy as np
import pytest
import torch

import toymodels as tm
from toymodels import chunks


def roots(value, power=0.5):
    """Work for the tests."""
    return {"root": np.asarray(value) ** power}


SETTINGS = [{"value": float(k)} for k in range(5)]


def test_results_come_in_order_here_and_in_single_threaded_processes():
    expected = [float(k) ** 0.5 for k in range(5)]
    assert [float(result["root"]) for result in chunks.run(roots, SETTINGS)] == expected
    with chunks.workers(2) as pool:
        assert [float(result["root"]) for result in chunks.run(roots, SETTINGS, executor=pool)] == expected
        assert pool.submit(torch.get_num_threads).result() == 1
        arguments = tm.ReLUModel, tm.SparseFeatures(5, [0.5, 0.1]), torch.ones(5), 2, 50
        many = [tm.restarts(*arguments, torch.arange(100), steps=5, batch=8, executor=where) for where in (None, pool)]
    assert torch.equal(*(runs.models.W for runs in many))


def test_what_is_stored_is_not_computed_again_and_is_found_by_every_part_of_its_setting(tmp_path, monkeypatch):
    first = chunks.run(roots, SETTINGS, store=tmp_path)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    assert len(files) == 5
    assert chunks.run(roots, SETTINGS, store=tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")} == files
    chunks.run(roots, [{"value": 0.0, "power": 0.25}], store=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    monkeypatch.setattr(chunks, "code_digest", lambda: "other code")
    chunks.run(roots, SETTINGS[:1], store=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 7


def test_different_values_have_different_descriptions_and_equal_ones_the_same():
    g = torch.Generator
    values = [
        lambda: 1.0,
        lambda: "1.0",
        lambda: torch.ones(2),
        lambda: torch.ones(2, dtype=torch.float64),
        lambda: torch.ones(1, 2),
        lambda: [1.0, 1.0],
        lambda: tm.ReLUModel,
        lambda: tm.SparseFeatures(2, 0.1),
        lambda: tm.SparseFeatures(2, 0.2),
        lambda: g().manual_seed(1),
        lambda: g().manual_seed(2),
        lambda: tm.ReLUModel(2, 1, generator=g().manual_seed(1)),
        lambda: tm.LinearModel(2, 1, generator=g().manual_seed(1)),
    ]
    described = [repr(chunks.describe(make())) for make in values]
    assert described == [repr(chunks.describe(make())) for make in values]
    assert len(set(described)) == len(values)


def test_what_cannot_be_described_is_refused():
    with pytest.raises(ValueError, match="setting is"):
        chunks.describe(object())
    with pytest.raises(ValueError, match="processes is 0"), chunks.workers(0):
        pass
