"""The floor of a row: its job done by a C program with the system calls that it needs, and
nothing else. No loop on this machine takes less.

The CPU time is that of the program alone, by the clock that `time.process_time()` reads.
"""

import re
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack

from load import SIZES, compiled, make_certificate, start_load
from measure import Plan, Timing, WrongResultError

_ECHO = re.compile(
    r"echo_((?:unix_|tls_)?)(protocol|buffered|streams|sock|udp)_([0-9]+[bkm])_([0-9]+)"
)
_OPERATIONS = {"connect_tcp", "connect_unix", "subprocess_spawn", "subprocess_pipes"}


def has_row(name: str) -> bool:
    """Whether there is a program that does the job of that row."""
    return name in _OPERATIONS or _ECHO.fullmatch(name) is not None


def time_row(name: str, plan: Plan) -> Timing:
    """Time the program, one operation a repetition."""
    with _Operations(name) if name in _OPERATIONS else _Echo(name) as program:
        return plan.carry_out(program.sample, 1)


class _Program(ExitStack):
    """A program that ends when its standard input does."""

    def start(self, *command: object) -> None:
        self.process = self.enter_context(
            subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        assert self.process.stdout
        self.answers = self.process.stdout

    def order(self, count: int) -> int:
        """Have that many operations done; return how many were."""
        assert self.process.stdin
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return int(self.answers.readline())

    def sample(self, repeat: int) -> tuple[float, float]:
        """The wall and CPU seconds of so many operations."""
        clock = (~self.process.pid << 3) | 2  # what clock_getcpuclockid(3) returns
        cpu, wall = time.clock_gettime(clock), time.perf_counter()
        done = self.order(repeat)
        wall, cpu = time.perf_counter() - wall, time.clock_gettime(clock) - cpu
        if done != repeat:
            raise WrongResultError(f"{done} operations, not {repeat}")
        return wall, cpu


class _Operations(_Program):
    """What a program does by itself."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.start(compiled("floor_operations"), name)


class _Echo(_Program):
    """A server, and the load that gets the orders."""

    def __init__(self, name: str) -> None:
        super().__init__()
        match = _ECHO.fullmatch(name)
        assert match
        prefix, kind, size, connections = match.groups()
        with tempfile.TemporaryDirectory() as folder:
            self.start(compiled("floor_echo"), *_server_arguments(prefix or kind, folder))
            address = self.answers.readline().strip()
            listener = self.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listener.getsockname()[1]
            self.load = self.enter_context(
                start_load(port, prefix + kind, address, int(connections), SIZES[size])
            )
            self.control = self.enter_context(listener.accept()[0])

    def order(self, count: int) -> int:
        self.control.sendall(b"%d\n" % count)
        return int(self.control.recv(64) or 0)


def _server_arguments(kind: str, folder: str) -> list[str]:
    if kind == "unix_":
        return ["unix", f"{folder}/socket"]
    if kind == "tls_":
        return ["tls", *make_certificate(folder)]
    return [kind if kind in {"sock", "udp"} else "tcp"]
