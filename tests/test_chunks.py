import importlib
import linecache
import sys

import numpy as np
import pytest
import torch

import toymodels as tm
from toymodels import chunks


def roots(value, power=0.5):
    """Work for the tests."""
    return {"root": np.asarray(value) ** power}


def trained(seed):
    """Work that runs compiled loops."""
    generator, sizes = torch.Generator().manual_seed(seed), {"n_hidden": 2, "starts": 50, "steps": 5, "batch": 8}
    runs = tm.restarts(tm.ReLUModel, tm.SparseFeatures(5, [0.5, 0.1]), torch.ones(5), generator=generator, **sizes)
    return {"W": runs.models.W.detach().numpy()}


SETTINGS = [{"value": float(k)} for k in range(5)]


def test_results_come_in_order_here_and_in_single_threaded_processes():
    expected = [float(k) ** 0.5 for k in range(5)]
    assert [float(result["root"]) for result in chunks.run(roots, SETTINGS)] == expected
    with chunks.workers(2) as pool:
        assert [float(result["root"]) for result in chunks.run(roots, SETTINGS, executor=pool)] == expected
        assert pool.submit(torch.get_num_threads).result() == 1
        here, there = (chunks.run(trained, [{"seed": 1}], executor=where)[0]["W"] for where in (None, pool))
    np.testing.assert_array_equal(here, there)


def test_what_is_stored_is_not_computed_again_and_is_found_by_every_part_of_its_setting(tmp_path, monkeypatch):
    first = chunks.run(roots, SETTINGS, store=tmp_path)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    assert len(files) == 5
    assert chunks.run(roots, SETTINGS, store=tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")} == files
    chunks.run(roots, [{"value": 0.0, "power": 0.25}], store=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 6
    monkeypatch.setattr(chunks, "code_digest", lambda module: "other code")
    chunks.run(roots, SETTINGS[:1], store=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 7


STUDIES = {
    "__init__": "",
    "first": """
from studies_of_a_test.middle import half
import numpy as np
def work(value, kind=None):
    return {"half": np.asarray(half(value))}
""",
    "middle": "from . import deep\ndef half(value):\n    return deep.FACTOR * value\n",
    "deep": "FACTOR = 0.5\n",
    "kinds": "from studies_of_a_test import middle\nclass Kind:\n    pass\n",
    "unrelated": "import toymodels\n",
}


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """A package of studies outside toymodels: name -> path of its modules."""
    folder = tmp_path / "studies_of_a_test"
    folder.mkdir()
    for name, source in STUDIES.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield {name: folder / f"{name}.py" for name in STUDIES}
    for name in [name for name in sys.modules if name.startswith("studies_of_a_test")]:
        del sys.modules[name]


def key(work, **setting):
    """The key under which a result is stored, from the sources as they are now."""
    chunks.code_digest.cache_clear(), chunks._file.cache_clear()
    return chunks._key(work, setting)


def test_a_key_depends_on_the_module_of_the_work_and_on_all_that_it_imports(studies):
    work = importlib.import_module("studies_of_a_test.first").work
    before = key(work, value=1.0)
    studies["unrelated"].write_text("import toymodels as tm\n")
    assert key(work, value=1.0) == before
    for name in ("deep", "middle", "first"):
        studies[name].write_text(STUDIES[name] + "# edited\n")
        assert key(work, value=1.0) != before
        studies[name].write_text(STUDIES[name])
        assert key(work, value=1.0) == before


def test_a_class_in_the_settings_counts_with_what_it_imports(studies):
    work = importlib.import_module("studies_of_a_test.first").work
    Kind = importlib.import_module("studies_of_a_test.kinds").Kind
    plain, of_class, of_object = (key(work, value=1.0, **more) for more in ({}, {"kind": Kind}, {"kind": Kind()}))
    studies["kinds"].write_text(STUDIES["kinds"] + "# edited\n")
    assert key(work, value=1.0) == plain
    assert key(work, value=1.0, kind=Kind) != of_class
    assert key(work, value=1.0, kind=Kind()) != of_object


@pytest.mark.parametrize(
    ("module", "counts", "does_not"),
    [
        ("toymodels.losses", {"toymodels.models", "toymodels.engine.series", "toymodels.losses"}, "toymodels.plots"),
        ("toymodels.sweeps", {"toymodels.minima", "toymodels.engine.lbfgs"}, "toymodels.plots"),
        ("test_chunks", {"toymodels", "toymodels.sweeps", "toymodels.engine.lbfgs"}, "toymodels.plots"),
        ("test_population", {"oracle"}, "toymodels.plots"),
    ],
)
def test_what_is_imported_is_followed_inside_the_repository_only(module, counts, does_not):
    found = set(chunks.sources(module))
    assert counts <= found
    assert does_not not in found
    assert not {name for name in found if name.partition(".")[0] in {"numpy", "torch", "pytest", "json"}}


def test_a_function_of_a_notebook_counts_with_the_functions_and_modules_that_it_uses(studies, monkeypatch):
    first = importlib.import_module("studies_of_a_test.first")
    cell = "def helper(x):\n    return first.half(x)\n\n\ndef work(value):\n    return {'half': helper(value)}\n"

    def run_cell(source, name):
        linecache.cache[name] = len(source), None, source.splitlines(True), name
        namespace = {"__name__": "__main__", "first": first}
        exec(compile(source, name, "exec"), namespace)
        return namespace["work"]

    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    work = run_cell(cell, "<cell 1>")
    before = key(work, value=1.0)
    assert key(run_cell(cell, "<cell 2>"), value=1.0) == before
    assert key(run_cell(cell.replace("first.half(x)", "2 * first.half(x)"), "<cell 3>"), value=1.0) != before
    studies["deep"].write_text("FACTOR = 0.25\n")
    assert key(work, value=1.0) != before


def test_workers_find_what_only_the_path_of_this_process_makes_importable(studies):
    work = importlib.import_module("studies_of_a_test.first").work
    with chunks.workers(1) as pool:
        assert [float(done["half"]) for done in chunks.run(work, SETTINGS, executor=pool)] == [0, 0.5, 1, 1.5, 2]


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
