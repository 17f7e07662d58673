"""What is compared: the loops, how a program turns each of them on, and the floor below them."""

import asyncio
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable

STOCK = "asyncio"
DISTRIBUTIONS = {
    "uvloop": "uvloop",
    "zuvloop": "zuvloop",
    "rloop": "rloop",
    "rsloop": "rsloop",
    "pyaio": "pyaio-core",
}
LOOPS = [STOCK, *DISTRIBUTIONS]
FLOOR = "c"  # no loop: programs of floor.py
NAMES = [*LOOPS, FLOOR]


def version(name: str) -> str | None:
    """The version of implementation `name` that is installed here; None where it is not."""
    if name == STOCK:
        return platform.python_version()
    if name == FLOOR:
        compiler = shutil.which(os.environ.get("CC", "cc"))
        return compiler and subprocess.check_output([compiler, "-dumpversion"], text=True).strip()
    try:
        return importlib.metadata.version(DISTRIBUTIONS[name])
    except importlib.metadata.PackageNotFoundError:
        return None


def activate(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Turn implementation `name` on for this process and return its loop factory.

    pyaio takes the place of the names in `asyncio`; of the others only the loop is used,
    which is all they offer.
    """
    if name == STOCK:
        return asyncio.new_event_loop
    module = importlib.import_module(name)
    if name == "pyaio":
        module.install()
        return asyncio.new_event_loop
    return module.new_event_loop


def check_active(name: str, loop: asyncio.AbstractEventLoop) -> None:
    """Raise RuntimeError unless `loop` belongs to implementation `name`."""
    package = type(loop).__module__.partition(".")[0]
    if package != name:
        raise RuntimeError(f"the loop of {name} comes from {package}")
