"""What the explorer draws is the landscape of the package, and docs/index.html is what its sources build."""

import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT

import toymodels as tm
from studies import landscape


def test_page_is_what_its_sources_build_and_fast(tmp_path):
    built = []
    for name in ("a.html", "b.html"):
        start = time.perf_counter()
        subprocess.run([sys.executable, ROOT / "explorer" / "build.py", tmp_path / name], check=True)
        assert time.perf_counter() - start < 3  # on a busy machine; a fifth of a second on an idle one
        built.append((tmp_path / name).read_bytes())
    assert built[0] == built[1] == (ROOT / "docs" / "index.html").read_bytes(), "run make explorer"
    assert len(built[0]) <= 270_000
    paper = b'href="https://transformer-circuits.pub/2022/toy_model/index.html"'
    for text in (b"https://", b"http://", b"fetch(", b"import("):
        assert text not in built[0].replace(paper, b""), text


def test_landscape_is_symmetric_and_touches_the_minima():
    p, r = 0.3, 0.7
    L = landscape.landscape(p, r, points=21)
    torch.testing.assert_close(L, L.flip(0, 1), rtol=0, atol=1e-9)
    torch.testing.assert_close(L.T, r * landscape.landscape(p, 1 / r, points=21), rtol=0, atol=1e-9)
    found = landscape.local_minima(p, r, starts=60)
    for W, loss in zip(found.W[:, 0], found.loss, strict=True):
        features = tm.SparseFeatures(2, p)
        here = [landscape.best_bias_loss(pair[None], features)[0] for pair in (W, W.flip(0))]
        assert here[0] + r * here[1] == pytest.approx(loss.item(), abs=1e-8)
    assert (found.loss[0] - 1e-9 <= L).all()


def test_basins_agree_with_the_minima():
    found = landscape.local_minima(0.2, 0.5, starts=200)
    assert found.phase.tolist() == [tm.Phase.SUPERPOSITION, tm.Phase.IGNORED]
    assert found.share.sum() == pytest.approx(1, abs=0.02)
    labels = landscape.basins(0.2, 0.5, found, points=9, steps=400)
    assert labels[1, 7] == 0  # weights of opposite sign
    assert labels[7, 6] == 1  # of the same sign: a single start fails
    assert (labels == labels.flip(0, 1)).all()


def test_border_lies_below_the_closed_form_and_at_the_change_of_phase():
    p = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    border = landscape.border(p)
    assert (border[:2] < tm.theory.boundary_below(p)[:2]).all()
    assert border[2].isnan()
    for density, r in zip(p[:2].tolist(), border[:2].tolist(), strict=True):
        phases = [landscape.local_minima(density, r * side, starts=60).phase[0] for side in (0.98, 1.02)]
        assert phases == [tm.Phase.IGNORED, tm.Phase.SUPERPOSITION]
