"""How the loops of this package are compiled: strict arithmetic, cached, unsigned indices."""

import numpy as np
from numba import njit

ZERO, ONE = np.uint64(0), np.uint64(1)  # unsigned indices spare a check for negative ones

# No fastmath: strict arithmetic gives the same bits however the compiler inlines, so runs repeat exactly.
fast = njit(cache=True, error_model="numpy", inline="never")
