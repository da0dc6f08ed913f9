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


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
