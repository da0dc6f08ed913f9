"""Long calls of a compiled loop, divided over Python threads by instance.

Compiled loops do not hold the interpreter's lock, so that threads of Python run them side by side. No threading layer
of the compiler is needed: there is no library to install, and nothing that two threads or a forked child trip over.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

WORTH = 200_000  # nanoseconds of work for a thread, below which handing it over costs more than it gains
_pool: ThreadPoolExecutor | None = None
_size = 0


def number(count: int, cost: float) -> int:
    """Number of threads for a call on `count` instances at `cost` nanoseconds each: as many as torch has, at most."""
    return max(1, min(torch.get_num_threads(), count, int(count * cost / WORTH)))


def run(work: Callable[..., None], *parts: tuple) -> None:
    """work(*part) for each of the parts, each in a thread of its own; the last one in this thread."""
    waiting = [_threads(len(parts)).submit(work, *part) for part in parts[:-1]]
    work(*parts[-1])
    for one in waiting:
        one.result()


def divided(work: Callable[[int, int], None], count: int, cost: float) -> None:
    """work(first, end) on ranges that make up range(count), side by side where that pays."""
    many = number(count, cost)
    ends = [count * k // many for k in range(many + 1)]
    run(work, *itertools.pairwise(ends))


def _threads(wanted: int) -> ThreadPoolExecutor:
    """The threads of this process, at least as many as are wanted."""
    global _pool, _size
    if _pool is None or _size < wanted:
        _pool, _size = ThreadPoolExecutor(wanted, "toymodels"), wanted
    return _pool


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # threads do not live on in a forked child
