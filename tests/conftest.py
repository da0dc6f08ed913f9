import ast
import contextlib
import json
import types
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from jaxtyping import install_import_hook

mpl.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
# Shapes and types in signatures are checked in every module but those of compiled loops, which numba needs undecorated.
CHECKED = [
    ".".join(path.relative_to(package.parent).with_suffix("").parts)
    for package in (ROOT / "toymodels", ROOT / "notebooks" / "studies")
    for path in sorted(package.rglob("*.py"))
    if path.parent.name != "engine" and path.name != "__init__.py"
]
install_import_hook(CHECKED, "typecheck.checker")


def functions_of(stem, **variables):
    """The functions of a notebook and what it imports, without its runs; variables: what they use of other cells.

    Those are left out whose default arguments come from other cells.
    """
    cells = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text())["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    kept = (ast.Import, ast.ImportFrom, ast.Try, ast.FunctionDef, ast.ClassDef)
    names = dict(variables)
    for node in ast.parse(source).body:
        if isinstance(node, kept):
            with contextlib.suppress(NameError):
                exec(compile(ast.Module([node], []), f"{stem}.ipynb", "exec"), names)
    return types.SimpleNamespace(**names)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
