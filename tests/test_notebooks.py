"""Every notebook runs at smoke size in a scratch copy, and is committed as it was executed."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_at_smoke_size(path, tmp_path):
    settings = {"TOYMODELS_SMOKE": "1", "TOYMODELS_SCRATCH": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, ROOT / "scripts" / "execute_notebook.py", path, "--to", tmp_path]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    committed = set(re.findall(r'save_figure\(\s*\w+, "(\w+)"', path.read_text().replace('\\"', '"')))
    assert {figure.stem for figure in tmp_path.glob("*.pdf")} == committed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_as_executed(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 1_000_000
    source = "\n".join("".join(cell["source"]) for cell in code)
    assert source.startswith("import")
    assert cells[0]["cell_type"] == "markdown"
