import ast
import shutil
import subprocess
import sys
from pathlib import Path

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
        for function in ast.walk(ast.parse(path.read_text())):
            names = [name.id for name in getattr(function, "decorator_list", []) if isinstance(name, ast.Name)]
            if "fast" not in names:
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
