import ast
import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.errors import NumbaError

from toymodels.engine import compiled


def test_an_edit_in_an_imported_file_reaches_code_that_is_compiled_and_cached(tmp_path):
    """numba alone would go on with the cached caller: it looks at the caller's file only."""
    engine = tmp_path / "toymodels" / "engine"
    engine.mkdir(parents=True)
    shutil.copy(Path(compiled.__file__), engine)
    head = "from toymodels.engine.compiled import fast\n"
    caller = head + "from toymodels.engine.inner import inner\n\n\n@fast\ndef outer(x):\n    return 10.0 * inner(x)\n"
    (engine / "caller.py").write_text(caller)

    def result():
        code = "from toymodels.engine.caller import outer; print(outer(1.0), sum(outer.stats.cache_hits.values()))"
        words = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, **PIPE)
        return words.stdout.split()

    for number in (1.0, 2.0):
        (engine / "inner.py").write_text(head + f"\n\n@fast\ndef inner(x):\n    return x + {number}\n")
        assert result() == [str(10 * (1 + number)), "0"]
        assert result() == [str(10 * (1 + number)), "1"]


PIPE = {"capture_output": True, "text": True, "check": True, "timeout": 120}


def test_a_loop_without_reference_counts_cannot_make_an_array():
    with pytest.raises(NumbaError):
        compiled.fast(lambda x: x.copy())(np.ones(2))


def test_loops_without_reference_counts_return_no_array():
    """It would be freed while it is in use, and nothing else warns of it."""
    checked = 0
    for path in Path(compiled.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        handed_on = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in called}
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            names = {name.id for name in function.decorator_list if isinstance(name, ast.Name)}
            template = not names and function.name in handed_on  # plain, and compiled elsewhere (specialised)
            if not {"fast", "inner"} & names and not template:
                continue
            checked += 1
            inside = list(ast.walk(function))
            arrays = {n.value.id for n in inside if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name)}
            for returned in (n.value for n in inside if isinstance(n, ast.Return) and n.value):
                parts = returned.elts if isinstance(returned, ast.Tuple) else [returned]
                assert not arrays & {part.id for part in parts if isinstance(part, ast.Name)}, function.name
                views = [n for n in ast.walk(returned) if isinstance(n, ast.Slice | ast.Attribute)]
                assert not [v for v in views if isinstance(v, ast.Slice) or v.attr in ("T", "reshape", "view")]
    assert checked > 40


def test_a_function_of_no_module_compiles():
    names = {"njit": numba.njit, "__name__": None}
    exec("@njit\ndef double(x):\n    return 2 * x", names)
    assert names["double"](3) == 6
    assert gc.isenabled()


def run(code, cwd=None, **environment):
    """What a fresh process prints; it fails if it fails or does not end."""
    settings = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=settings, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_the_installed_package_needs_nothing_of_the_notebooks(tmp_path):
    package, without = Path(compiled.__file__).parents[1], shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, tmp_path / "toymodels", ignore=without)
    code = """
import importlib, pkgutil, toymodels
names = [module.name for module in pkgutil.walk_packages(toymodels.__path__, "toymodels.")]
print(len(names), toymodels.__file__, *(importlib.import_module(name) and "" for name in names))
"""
    number, file = run(code, cwd=tmp_path, PYTHONPATH="")
    assert int(number) > 30
    assert Path(file).parents[1] == tmp_path


def test_two_threads_of_python_may_call_the_package_at_once():
    """numba's work queue, all that a wheel on macOS has, ends the process when two threads enter parallel loops."""
    code = """
import torch, toymodels as tm
from concurrent.futures import ThreadPoolExecutor
torch.set_num_threads(2)
grid = {"densities": torch.logspace(0, -2, 8), "importances": torch.logspace(-1, 1, 8), "restarts": 400}
with ThreadPoolExecutor(2) as pool:
    both = tm.phase_diagram("relu", **grid, executor=pool)
print(torch.equal(both.loss, tm.phase_diagram("relu", **grid).loss))
"""
    assert run(code, NUMBA_THREADING_LAYER="workqueue") == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_computes_after_its_parent_did():
    code = """
import multiprocessing, torch, toymodels as tm
torch.set_num_threads(2)
features = tm.SparseFeatures(6, 0.2)

def lowest(seed):
    model = tm.ReLUModel(6, 2, 400, generator=torch.Generator().manual_seed(seed))
    return tm.minimise(model, features, torch.ones(6)).min().item()

here = lowest(3)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.apply_async(lowest, (3,)).get(timeout=120) == here)
"""
    assert run(code) == ["True"]


@pytest.mark.parametrize("home", ["a home", "none"])
def test_an_installation_that_cannot_be_written_is_imported_and_keeps_its_loops_elsewhere(home, tmp_path):
    package = tmp_path / "toymodels"
    shutil.copytree(Path(compiled.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "engine" / "__pycache__").write_text("a file where the folder of the loops would be")
    here = tmp_path if home == "a home" else "/dev/null"
    code = "from toymodels.engine import compiled; print(compiled.cache_folder())"
    settings = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(here), "NUMBA_CACHE_DIR": ""}
    (folder,) = run(code, tmp_path, **settings, XDG_CACHE_HOME="", TMPDIR=str(tmp_path))
    expected = tmp_path / ".cache" / "toymodels" if home == "a home" else tmp_path
    assert expected in Path(folder).parents
    assert package not in Path(folder).parents
