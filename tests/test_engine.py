import shutil
import subprocess
import sys
from pathlib import Path

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
