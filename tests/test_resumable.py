"""Many starts in chunks: the same bits in one piece, in any chunks and on any executor, and resumable."""

from concurrent.futures import Executor, Future

import pytest
import torch

import toymodels as tm
from studies import sets
from toymodels import minima, training

FEATURES = tm.SparseFeatures(5, [0.9, 0.2, 0.05])
IMPORTANCE = 0.9 ** torch.arange(5, dtype=torch.float64)


class AtOnce(Executor):
    """An executor that computes at once, and can break down."""

    def __init__(self, last: int = 10**9):
        self.left = last

    def submit(self, work, *arguments):
        if self.left == 0:
            raise RuntimeError("the machine is gone")
        self.left -= 1
        future = Future()
        future.set_result(work(*arguments))
        return future


def source():
    return torch.Generator().manual_seed(3)


def restarts(kind=tm.ReLUModel, **settings):
    settings = {"steps": 12, "snapshots": iter((0, 12)), **settings}
    return tm.restarts(kind, FEATURES, IMPORTANCE, 2, 11, source(), **settings)


def search(**settings):
    return tm.search(tm.ReLUModel, FEATURES, IMPORTANCE, 2, 12, source(), rounds=1, keep=2, **settings)


def assert_identical(a, b):
    assert torch.equal(a.loss, b.loss)
    for (name, one), (_, other) in zip(a.models.named_parameters(), b.models.named_parameters(), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other), name
    if a.history is not None:
        assert torch.equal(a.history.loss, b.history.loss)
        assert torch.equal(a.history.step, b.history.step)
        assert torch.equal(a.history.W_step, b.history.W_step)
        for name, values in a.history.parameters.items():
            assert torch.equal(values, b.history.parameters[name])


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(training, "CHUNK", 1)  # 16 of 33 instances
    monkeypatch.setattr(minima, "CHUNK", 7 * 5**3)


CASES = [
    {},
    {"batch": 16, "optimizer": "momentum"},
    {"batch": 16, "kind": tm.ReLUHiddenModel},
    {"batch": 16, "kind": tm.AbsoluteValueModel, "target": torch.abs},
    {"batch": 16, "score": lambda model: model.b[:, 0].detach()},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("_small_chunks")
def test_restarts_in_chunks_are_those_in_one_piece(case, tmp_path):
    whole = restarts(**case)
    assert_identical(whole, restarts(**case, executor=AtOnce()))
    assert_identical(whole, restarts(**case, store=tmp_path))
    assert len(list(tmp_path.glob("*.npz"))) == 3
    assert_identical(whole, restarts(**case, store=tmp_path, executor=AtOnce(0)))  # nothing is computed again


def test_the_size_of_chunks_does_not_matter(monkeypatch):
    pieces = [restarts(batch=8, executor=AtOnce())]
    monkeypatch.setattr(training, "CHUNK", 1)
    assert_identical(*pieces, restarts(batch=8, executor=AtOnce()))


@pytest.mark.usefixtures("_small_chunks")
def test_a_search_in_chunks_is_that_in_one_piece(tmp_path):
    whole = search()
    assert_identical(whole, search(executor=AtOnce()))
    assert_identical(whole, search(store=tmp_path))
    assert_identical(whole, search(store=tmp_path, executor=AtOnce(0)))
    assert torch.equal(
        sets.pair_grid(2, 4, 3, source()).lowest, sets.pair_grid(2, 4, 3, source(), executor=AtOnce()).lowest
    )


@pytest.mark.parametrize("call", [restarts, search])
@pytest.mark.usefixtures("_small_chunks")
def test_what_broke_down_continues_from_the_store(call, tmp_path):
    whole = call()
    with pytest.raises(RuntimeError, match="the machine is gone"):
        call(store=tmp_path, executor=AtOnce(2))
    done = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    assert_identical(whole, call(store=tmp_path))
    assert len(list(tmp_path.glob("*.npz"))) > len(done)
    assert all(file.stat().st_mtime_ns == when for file, when in done.items())


@pytest.mark.parametrize("call", [restarts, search])
def test_another_kind_of_store_or_executor_is_refused(call):
    for wrong in ({"executor": 2}, {"store": 7}):
        with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):  # TypeError: shapes checked in the tests
            call(**wrong)


def test_what_cannot_be_known_again_or_sent_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"function is .*lambda.*; allowed: one that can be imported by its name"):
        restarts(batch=8, target=lambda x: x, store=tmp_path)
    with pytest.raises(ValueError, match=r"importance is .* allowed: shape"):
        tm.restarts(tm.ReLUModel, FEATURES, torch.ones(16, 5), 2, 11, source(), steps=1, store=tmp_path)
    with pytest.raises(ValueError, match="features is 'on meta'; allowed: features on the CPU"):
        tm.restarts(tm.ReLUModel, _on_meta(), IMPORTANCE, 2, 1, source(), steps=1, store=tmp_path)


def _on_meta():
    features = tm.SparseFeatures(5, 0.5)
    features.density = features.density.to("meta")
    return features
