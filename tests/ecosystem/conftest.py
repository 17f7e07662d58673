"""Servers and clients of others, as processes of their own, under load for a while."""

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Debian keeps PostgreSQL's programs to themselves.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *glob.glob("/usr/lib/postgresql/*/bin")])
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


WAYS = {
    "stock": ([], "import asyncio; asyncio.run(main())"),
    "pyaio.run": ([], "import pyaio; pyaio.run(main())"),
    "python -m pyaio": (["-m", "pyaio"], "import asyncio; asyncio.run(main())"),
}


@pytest.fixture(params=WAYS)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """A function that runs a program's main() on stock asyncio and in two ways on pyaio.

    It takes the program's text and its arguments. Whatever it prints, warnings included, is a
    failure.
    """
    options, last_line = WAYS[request.param]

    def program(text: str, *arguments: Any) -> None:
        path = tmp_path / "program.py"
        path.write_text(f"{text}\n{last_line}\n")
        command = [sys.executable, "-W", "default", *options, path, *arguments]
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * PATIENCE_SECONDS,
        )
        assert (done.stdout + done.stderr, done.returncode) == ("", 0)

    return program


@pytest.fixture(scope="session")
def service() -> Iterator[Callable[..., str]]:
    """A function that starts a server until the end of all tests, in a folder of its own.

    It takes the commands that come before, the server's own, in all of which "{folder}" stands for
    the folder, and the path in the folder at which the server can be reached when it is ready.
    Gives the folder. As root it all runs as the given user. A server that is not installed skips
    the test, but on CI it fails.
    """
    with contextlib.ExitStack() as stack:

        def service(*before: str, command: str, ready: str, user: str) -> str:
            programs = [line.split()[0] for line in (*before, command)]
            missing = [program for program in programs if shutil.which(program, path=PATH) is None]
            if missing:
                (pytest.fail if "CI" in os.environ else pytest.skip)(f"{missing} not installed")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{user}-"))
            options: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL}
            options["env"] = {**os.environ, "PATH": PATH}
            if os.getuid() == 0:
                shutil.chown(folder, user)
                options["user"] = user
            log = stack.enter_context(Path(folder, "log").open("w"))
            options.update(stdout=log, stderr=log)
            for line in before:
                subprocess.run(line.format(folder=folder).split(), check=True, **options)
            process = subprocess.Popen(command.format(folder=folder).split(), **options)
            stack.callback(end, process)
            wait_until_reachable(process, Path(folder, ready), Path(folder, "log"))
            return folder

        yield service


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a server, and kill it where that does not help."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_reachable(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    """Wait for a server's Unix socket to accept connections."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server did not start: {log.read_text()}")
        time.sleep(0.05)
