"""Servers and clients of others, as processes of their own, under load for a while."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LOAD_SECONDS = float(os.environ.get("PYAIO_LOAD_SECONDS", "3"))
PATIENCE_SECONDS = 60


@pytest.fixture
def load_seconds() -> float:
    """How long a load runs: PYAIO_LOAD_SECONDS, or a few seconds."""
    return LOAD_SECONDS


@pytest.fixture
def server(tmp_path: Path) -> Callable[..., Any]:
    """A context manager that runs a server until the end of the block, then interrupts it.

    The arguments are the interpreter's; the server must write its port to the file `port` in the
    working folder. Gives the port. Whatever the server prints on stderr is a failure.
    """

    @contextlib.contextmanager
    def server(*arguments: Any) -> Iterator[int]:
        command = [sys.executable, *map(str, arguments)]
        port_file = tmp_path / "port"
        with (tmp_path / "stderr").open("w+") as stderr:
            process = subprocess.Popen(command, cwd=tmp_path, stderr=stderr)
            try:
                yield wait_for_port(process, port_file, stderr)
                process.send_signal(signal.SIGINT)
                code = process.wait(PATIENCE_SECONDS)
            finally:
                process.kill()
                process.wait()
            stderr.seek(0)
            assert (stderr.read(), code) in {("", 0), ("", -signal.SIGINT)}

    def wait_for_port(process: subprocess.Popen[bytes], port_file: Path, stderr: Any) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            if process.poll() is not None or time.monotonic() > deadline:
                stderr.seek(0)
                pytest.fail(f"the server did not start: {stderr.read()}")
            time.sleep(0.02)
        return int(port_file.read_text())

    return server


@pytest.fixture
def client(tmp_path: Path) -> Callable[..., int]:
    """A function that runs a client program and returns the number of requests it printed."""

    def client(seconds: float, *arguments: Any) -> int:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + PATIENCE_SECONDS,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return int(done.stdout)

    return client
