"""How the loops of this package are compiled: strict arithmetic, cached, unsigned indices."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

ZERO, ONE = np.uint64(0), np.uint64(1)  # unsigned indices spare a check for negative ones


def _cache_folder() -> str:
    """A folder named after the content of the engine's files.

    numba looks only at the file of a function for changes, not at what it imports: of two callers of an edited function
    one would go on with the old one.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(here.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return os.path.join(numba.config.CACHE_DIR or here / "__pycache__", digest.hexdigest()[:16])


_FOLDER = _cache_folder()


def _cached(**options: object) -> Callable:
    """A decorator: numba.njit with the package's arithmetic, and with its cache in _FOLDER."""
    compile_later = numba.njit(cache=True, error_model="numpy", **options)

    def decorate(function: Callable) -> Callable:
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _FOLDER
        try:
            return compile_later(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


# No fastmath: strict arithmetic gives the same bits however the compiler inlines, so runs repeat exactly.
# fast: without reference counts, which cost as much as the arithmetic of a small model (every array of a tuple that is
# unpacked is counted, and atomically). Such a function may neither make arrays, which does not compile, nor return one.
fast = _cached(inline="never", _nrt=False)
allocating = _cached(inline="never")
parallel = _cached(parallel=True)  # compiles slowly: for the loop over instances alone
