"""Execute notebooks in place, top to bottom, so that an unchanged result leaves an unchanged file.

    python scripts/execute_notebook.py notebooks/01_introduction.ipynb [... --to FOLDER]

Progress bars and warnings (stderr) are shown live and kept out of the saved outputs; so are timings.
"""

import argparse
import base64
import fcntl
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

LOCK = Path(tempfile.gettempdir()) / f"toymodels-kernel-{os.getuid()}.lock"


class LiveClient(NotebookClient):
    """Shows stderr on the terminal instead of storing it.

    Kernels start one after the other, also those of other processes: two at once may choose the same port.
    """

    async def async_start_new_kernel(self, **settings):
        self.turn = LOCK.open("w")
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        await super().async_start_new_kernel(**settings)

    async def async_start_new_kernel_client(self):
        answers = await super().async_start_new_kernel_client()
        self.turn.close()  # and the lock is free
        return answers

    def output(self, outs, msg, display_id, cell_index):
        content = msg["content"]
        if msg["msg_type"] == "stream" and content["name"] == "stderr":
            sys.stderr.write(content["text"])
            sys.stderr.flush()
            return None
        return super().output(outs, msg, display_id, cell_index)


def execute(path: Path, folder: Path | None) -> float:
    """Run the notebook and write it back (or into folder); returns seconds."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)

    def announce(cell, cell_index, execute_reply):
        done = cell.get("execution_count") or 0
        print(f"  {path.stem}: cell {done}/{cells}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)

    client = LiveClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # else when messages arrive decides how the text is cut up
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=announce,
    )
    client.execute()
    shrink_pictures(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    target = (folder or path.parent) / path.name
    nbformat.write(notebook, target)
    return time.perf_counter() - start


def shrink_pictures(notebook: nbformat.NotebookNode) -> None:
    """Encode every PNG output again with a palette of 256 colours, about half the size to download."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
                small = io.BytesIO()
                picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
                output["data"]["image/png"] = base64.b64encode(small.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, help="write the executed copies here instead of in place")
    parser.add_argument("--log", type=Path, help="append 'NAME SECONDS PEAK_MIB' here")
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        print(f"{path}", file=sys.stderr, flush=True)
        seconds = execute(path, arguments.to)
        if arguments.log:
            with arguments.log.open("a") as log:
                log.write(f"{path.stem} {seconds:.0f} {peak_memory_mib():.0f}\n")


def peak_memory_mib() -> float:
    """Largest resident memory of any kernel that this process has run and reaped."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    main()
