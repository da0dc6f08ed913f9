"""A panel that several notebooks share: a table of numbers on colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage


def table(
    ax: Axes, shades: np.ndarray, texts: Sequence[Sequence[str]], rows: Sequence, columns: Sequence, **look: object
) -> AxesImage:
    """texts [row][column] on the colours of shades [row, column], white on dark ones; look goes to imshow.

    rows, columns: names or numbers at the axes.
    """
    image = ax.imshow(shades, aspect="auto", rasterized=True, **look)
    brightness = image.to_rgba(shades)[..., :3] @ (0.3, 0.6, 0.1)
    for (row, column), bright in np.ndenumerate(brightness):
        colour = "black" if bright > 0.5 else "white"
        ax.text(column, row, texts[row][column], ha="center", va="center", fontsize=7, color=colour)
    for set_ticks, names in ((ax.set_xticks, columns), (ax.set_yticks, rows)):
        set_ticks(range(len(names)), [name if isinstance(name, str) else f"{name:g}" for name in names])
    ax.tick_params(length=0)
    return image
