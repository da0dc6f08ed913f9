"""Long lists of independent work: chunk by chunk, on any executor, and resumable from a folder.

    with chunks.workers() as pool:
        results = chunks.run(work, [{"density": 0.1}, {"density": 0.2}], store="build/chunks", executor=pool)

Independent settings in single-threaded processes use all cores fully and do not mind neighbours; threads inside one
small training step do neither. This module is handed its work and knows nothing of models.
"""

import ast
import hashlib
import importlib.util
import inspect
import json
import os
import pickle
import sys
import sysconfig
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from toymodels.checks import count, require

Arrays = dict[str, np.ndarray | np.generic]
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
IN_FLIGHT = 1000  # chunks handed to an executor at a time: bounds what the client holds


def run(
    work: Callable[..., Arrays],
    settings: Sequence[dict],
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: bool | str = False,
) -> list[Arrays]:
    """work(**setting) for each of settings, in order.

    work: an importable function that returns a dict of arrays. settings: its arguments; numbers, strings, arrays,
    classes, and objects and lists of these. store: a folder; finished results are kept there and found again by work,
    its setting, and the source code of the modules that define work and the classes in the setting, with all that they
    import (see sources). So a run that was killed continues, and an edit elsewhere does not make it start again.
    executor: anything with the concurrent.futures interface (workers() below, dask.distributed's client.get_executor(),
    mpi4py.futures); None: here, one after the other. progress: a tqdm bar, with this label.
    Raises ValueError for a store or executor of another kind, and for a setting without an unambiguous description.
    """
    results = dict(as_finished(work, settings, store, executor, progress))
    return [results[k] for k in range(len(settings))]


def as_finished(
    work: Callable[..., Arrays],
    settings: Sequence[dict],
    store: str | Path | None = None,
    executor: Executor | None = None,
    progress: bool | str = False,
) -> Iterator[tuple[int, Arrays]]:
    """(number, result) of each of settings, in the order in which they finish, and no longer held here. See run."""
    require(store is None or isinstance(store, str | Path), "store", store, "a folder, or None")
    fits = executor is None or hasattr(executor, "submit")
    require(fits, "executor", executor, "one with the interface of concurrent.futures, or None")
    folder = None if store is None else Path(store)
    keys = None if folder is None else [_key(work, setting) for setting in settings]
    missing = []
    for k in range(len(settings)):
        arrays = None if keys is None else _load(_path(folder, work, keys[k]), keys[k])
        if arrays is None:
            missing.append(k)
        else:
            yield k, arrays
    label = progress if isinstance(progress, str) else None
    if executor is None:
        computed = ((k, work(**settings[k])) for k in missing)
    else:
        computed = _elsewhere(executor, work, settings, missing)
    for k, arrays in tqdm(computed, desc=label, total=len(missing), disable=not progress, mininterval=1.0):
        if keys is not None:
            _save(_path(folder, work, keys[k]), keys[k], arrays)
        yield k, arrays


@contextmanager
def workers(processes: int | None = None) -> Iterator[Executor]:
    """A pool of single-threaded processes, by default one for each core that this process may use.

    Raises ValueError if processes is below 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = cores if processes is None else count("processes", processes)
    context = get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload(["toymodels"])
    with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        with _one_thread_each():
            pool.submit(os.getpid).result()  # all processes start here, and not with this one's number of threads
        yield pool


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside have one OpenMP thread: it is set when the library loads, set_num_threads comes too late
    and idle threads of other workers would wait actively.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _elsewhere(
    executor: Executor, work: Callable[..., Arrays], settings: Sequence[dict], missing: list[int]
) -> Iterator[tuple[int, Arrays]]:
    waiting = iter(missing)
    numbers = {}
    try:
        while True:
            for k in waiting:
                numbers[executor.submit(_unpacked, pickle.dumps((work, settings[k])))] = k
                if len(numbers) >= IN_FLIGHT:
                    break
            if not numbers:
                return
            for future in wait(numbers, return_when=FIRST_COMPLETED).done:
                yield numbers.pop(future), future.result()
    finally:
        for future in numbers:
            future.cancel()


def _unpacked(packed: bytes) -> Arrays:
    """The result of a packed (work, setting): in bytes, as tensors would go through shared memory and its handles."""
    work, setting = pickle.loads(packed)
    return work(**setting)


def describe(value: object) -> object:
    """value as JSON-ready lists, strings and numbers: the same for equal values, different for different ones.

    Raises ValueError for a kind of object that it does not know how to describe.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Generator):
        value = value.get_state()
    if isinstance(value, Tensor | np.ndarray):
        array = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
        require(array.dtype != object, "array", "of objects", "an array of numbers")
        return ["array", str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(value, dict):
        return ["dict", *([describe(name), describe(entry)] for name, entry in value.items())]
    if isinstance(value, list | tuple | range):
        return ["list", *map(describe, value)]
    if isinstance(value, partial):
        return ["partial", *map(describe, (value.func, value.args, value.keywords))]
    if isinstance(value, type) or inspect.isroutine(value):
        name = f"{value.__module__}.{value.__qualname__}"
        require("<" not in name, "function", name, "one that can be imported by its name")
        return ["name", name, code_digest(value.__module__) or _code_of(value)]
    kind = describe(type(value))
    if isinstance(value, nn.Module):
        return [kind, describe(dict(value.state_dict()))]
    if is_dataclass(value):
        return [kind, describe({field.name: getattr(value, field.name) for field in fields(value)})]
    require(hasattr(value, "__dict__"), "setting", value, "numbers, strings, arrays, classes, and objects of these")
    return [kind, describe({name: vars(value)[name] for name in sorted(vars(value))})]


@cache
def code_digest(module: str) -> str | None:
    """Hash of sources(module); None if there are none."""
    found = sources(module)
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {len(found[name])} ".encode() + found[name])
    return digest.hexdigest() if found else None


def sources(module: str) -> dict[str, bytes]:
    """The source of a module and of all first-party modules that it imports, directly or through others, by name.

    First-party are this package and what lies in the folder that holds it, or in the folder that holds the module's own
    top-level package, but for the standard library and installed packages. Empty if the module itself is not
    first-party, or has no file, as the cells of a notebook have none.
    """
    own = {_file(name.partition(".")[0]) for name in (__name__, module)}
    folders = [file.parent if file.name != "__init__.py" else file.parents[1] for file in own if file is not None]
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = None if name in found else _file(name)
        if file is None:
            continue
        installed = {"site-packages", "dist-packages"} & set(file.parts) or file.is_relative_to(STANDARD_LIBRARY)
        ours = not installed and any(file.is_relative_to(folder) for folder in folders)
        if ours or name.partition(".")[0] == "toymodels":
            found[name] = file.read_bytes()
            waiting.extend(_imported(name, file))
    return found


def _code_of(value: type | Callable) -> object:
    """What a function or class outside first-party modules depends on.

    For a function, its source, that of the functions in the cells of the same notebook that it calls, and the digest of
    every module whose names it uses. Empty for what is not written in Python.
    """
    found: dict[str, str | None] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one.__qualname__ in found:
            continue
        if not inspect.isfunction(one):
            found[one.__qualname__] = inspect.getsource(one) if one.__module__ == "__main__" else None
            continue
        found[one.__qualname__] = inspect.getsource(one)
        for used in inspect.getclosurevars(one).globals.values():
            module = used.__name__ if inspect.ismodule(used) else getattr(used, "__module__", None)
            if module == one.__module__ and hasattr(used, "__qualname__"):
                waiting.append(used)
            elif isinstance(module, str):
                found[module] = code_digest(module)
    return sorted(found.items())


@cache
def _file(module: str) -> Path | None:
    """The source file of a module, which is looked for and not executed; None if it has none."""
    if module == "__main__":
        main = getattr(sys.modules["__main__"], "__file__", None)
        return None if main is None else Path(main).resolve()
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.has_location:
        return None
    file = Path(spec.origin).resolve()
    inner = file.parent.joinpath(*rest)
    places = [inner / "__init__.py", inner.with_suffix(".py")] if rest else [file]
    return next((place for place in places if place.is_file()), None)


def _imported(module: str, file: Path) -> list[str]:
    """The modules that the import statements of a module name, wherever they stand in its source.

    `from a import b` names a.b where that is a module, and a itself otherwise.
    """
    if file.suffix != ".py":
        return []
    names = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            names += [".".join(part[:k]) for part in parts for k in range(1, len(part) + 1)]
        elif isinstance(node, ast.ImportFrom):
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [inner if _file(inner := f"{base}.{alias.name}") else base for alias in node.names]
    return names


def _key(work: Callable, setting: dict) -> str:
    return hashlib.sha256(json.dumps([describe(work), describe(setting)]).encode()).hexdigest()


def _path(folder: Path, work: Callable, key: str) -> Path:
    return folder / f"{work.__name__}-{key[:20]}.npz"


def _save(path: Path, key: str, arrays: Arrays) -> None:
    """Write a chunk in one step: after a kill there is the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        np.savez(part, **arrays, key=np.array(key))
        part.flush()
        os.fsync(part.fileno())
    os.replace(part.name, path)


def _load(path: Path, key: str) -> Arrays | None:
    """A stored chunk, or None if there is none or it is damaged (with a warning)."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            damaged, arrays = archive.testzip(), dict(file)
        if damaged is None and arrays.pop("key").item() == key:
            return arrays
        reason = "its checksum or settings do not match"
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error)
    warnings.warn(f"{path.name} is damaged ({reason}); computing it again", RuntimeWarning, stacklevel=2)
    return None
