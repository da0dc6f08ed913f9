"""Models that were saved come back as they were; and every file of a figure holds what it says."""

import numpy as np
import pytest
import torch
from conftest import ROOT

import toymodels as tm
from toymodels import saved
from toymodels.training import score

FILES = sorted(path for path in (ROOT / "figures").glob("*.npz") if "header" in np.load(path).files)
DATA = [
    tm.SparseFeatures(4, [0.5, 0.1, 0.02]),
    tm.SparseFeatures(4, 0.3, signed=True),
    tm.CorrelatedFeatures(4, [[0, 1], [2, 3]], [0.5, 0.1, 0.02], together=0.9),
    tm.PairedFeatures(4, [[0, 1]], 0.2, 0.1),
    tm.HierarchicalFeatures(4, {1: 0, 2: 0}, 0.3, 0.5),
]


@pytest.mark.parametrize("features", DATA, ids=lambda features: type(features).__name__)
@pytest.mark.parametrize("kind", [tm.LinearModel, tm.ReLUModel, tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_what_is_saved_comes_back(features, kind, tmp_path, generator):
    model, importance = kind(4, 2, 3, generator=generator), 0.9 ** torch.arange(4)
    saved.save(tmp_path / "some.npz", model, features, importance, also=torch.arange(3))
    found = tm.load(tmp_path / "some.npz")
    assert type(found.model) is kind
    x = features.sample(50, generator, 3)
    assert torch.equal(found.model(x), model(x))
    seeds = torch.tensor([1, 2, 3])
    assert torch.equal(found.features.sample(50, seeds, 3), features.sample(50, seeds, 3))
    torch.testing.assert_close(found.loss, score(model, features, importance).detach())
    assert found.importance.tolist() == [pytest.approx(importance.tolist())] * 3
    assert found.arrays["also"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_loss_on_file_is_that_of_the_models_on_file(path):
    found = tm.load(path)
    some = torch.arange(len(found.loss))
    if found.model.n_features >= 100:
        some = some[::4]  # each exact loss takes seconds
    with torch.no_grad():
        loss = score(found.model.select(some), found.features.select(some), found.importance[some])
    torch.testing.assert_close(loss, found.loss[some], rtol=1e-6, atol=1e-12)


def test_what_cannot_be_loaded_is_refused(tmp_path, generator):
    class Own(tm.ReLUModel):
        pass

    with pytest.raises(ValueError, match="class is 'Own'"):
        saved.save(tmp_path / "x.npz", Own(3, 2, generator=generator), tm.SparseFeatures(3, 0.1), torch.ones(3))
    with pytest.raises(ValueError, match="path is"):
        tm.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(ValueError, match="a file with models"):
        tm.load(tmp_path / "other.npz")
