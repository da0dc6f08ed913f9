"""How the loops of this package are compiled: strict arithmetic, without the interpreter's lock, and kept on disk."""

import gc
import hashlib
import os
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba.core import event

ZERO, ONE = np.uint64(0), np.uint64(1)  # unsigned indices spare a check for negative ones
SAY_AFTER = 2.0  # seconds of compiling after which it is said, once


def _digest() -> str:
    """A name for the content of the engine's files.

    numba looks only at the file of a function for changes, not at what it imports: of two callers of an edited function
    one would go on with the old one.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _user_cache() -> Path | None:
    """The folder in which a user's programs keep what they can make again; None for a user without a home."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "toymodels"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "toymodels"


def cache_folder() -> Path | None:
    """The first folder that can be written of: numba's own setting, the package's, the user's, a temporary one."""
    wanted = [numba.config.CACHE_DIR, Path(__file__).parent / "__pycache__", _user_cache()]
    wanted.append(Path(tempfile.gettempdir()) / f"toymodels-{os.getuid() if hasattr(os, 'getuid') else 'cache'}")
    for parent in filter(None, wanted):
        folder = Path(parent) / _digest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


_FOLDER = cache_folder()


def _compiler(**options: object) -> Callable:
    """A decorator: numba.njit with the package's arithmetic, and with its cache in _FOLDER, if there is one."""
    usual = {"cache": _FOLDER is not None, "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
    compile_later = numba.njit(**{**usual, **options})

    def decorate(function: Callable) -> Callable:
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(_FOLDER or "")
        try:
            return compile_later(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


# No fastmath: strict arithmetic gives the same bits however the compiler inlines, so runs repeat exactly.
# fast: without reference counts, which cost as much as the arithmetic of a small model (every array of a tuple that is
# unpacked is counted, and atomically). Such a function may neither make arrays, which does not compile, nor return one.
# inner: likewise, and called by compiled functions alone; the code that takes arguments over from Python is a third of
# what there is to compile, and nothing of them is kept but what is in the code of their callers.
fast = _compiler(inline="never", _nrt=False)
inner = _compiler(inline="never", _nrt=False, no_cpython_wrapper=True, cache=False)
# part: becomes part of its caller before that is compiled, where an inner function is compiled on its own, again in its
# caller, and in the caller's caller. For what is called in one place, or is a line or two.
part = numba.njit(inline="always")
allocating = _compiler(inline="never")


def specialised(template: Callable, name: str, how: Callable = allocating, **names: object) -> Callable:
    """The template, a plain function, compiled under a name of its own with other values for some of its globals.

    A function that is made in a function and holds compiled ones is compiled anew in every process: numba cannot find
    it in its cache. A copy with other globals it finds.
    """
    copy = types.FunctionType(template.__code__, {**template.__globals__, **names}, name, template.__defaults__)
    copy.__qualname__, copy.__module__, copy.__doc__ = name, template.__module__, template.__doc__
    return how(copy)


class _Compiling(event.Listener):
    """Puts off garbage collection while something is compiled: it would go through PyTorch in vain.

    Says once that a loop of this package is being compiled, when that takes longer than SAY_AFTER.
    """

    def __init__(self) -> None:
        self.depth, self.collects, self.said, self.timer = 0, False, False, None

    def on_start(self, started: event.Event) -> None:
        self.depth += 1
        if self.depth > 1:
            return
        self.collects = gc.isenabled()
        gc.disable()
        module = started.data["dispatcher"].py_func.__module__ or ""  # what exec defines may have none
        if module.startswith(__package__) and not self.said:
            self.timer = threading.Timer(SAY_AFTER, self._say)
            self.timer.daemon = True
            self.timer.start()

    def on_end(self, ended: event.Event) -> None:
        self.depth -= 1
        if self.depth == 0 and self.collects:
            gc.enable()
        if self.depth == 0 and self.timer:
            self.timer.cancel()

    def _say(self) -> None:
        kept = f"; it is kept in {_FOLDER}" if _FOLDER else ""
        print(f"toymodels compiles a loop that is used for the first time{kept}", file=sys.stderr, flush=True)
        self.said = True


event.register("numba:compile", _Compiling())
