"""Subprocesses, and pipes to a program that sends back what it gets."""

import asyncio
import subprocess
from typing import Any

from load import SIZES, other_core
from measure import register, row

PIPE = subprocess.PIPE
_DATA = bytes(10_000)


@row(operations=1)
async def subprocess_spawn(repeat: int) -> int:
    """`/bin/true`, started and waited for."""
    done = 0
    for _ in range(repeat):
        child = await asyncio.create_subprocess_exec("/bin/true")
        done += await child.wait() == 0
    return done


@row(operations=1)
async def subprocess_pipes(repeat: int) -> int:
    """10 kB through `cat`, with communicate()."""
    done = 0
    for _ in range(repeat):
        child = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
        output, _ = await child.communicate(_DATA)
        done += len(output) == len(_DATA)
    return done


class Echoed(asyncio.Protocol):
    """Counts what comes back, and writes the next message when all of it has."""

    def __init__(self, size: int) -> None:
        self.message = bytes(size)
        self.left = 0
        self.missing = 0
        self.writer: Any = None
        self.done: asyncio.Future[None] | None = None

    def send(self, messages: int, done: "asyncio.Future[None]") -> None:
        """Write the first of so many messages."""
        self.left, self.done = messages, done
        self._next()

    def _next(self) -> None:
        self.missing = len(self.message)
        self.writer.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if self.missing == 0:
            self.left -= 1
            if self.left:
                self._next()
            elif self.done is not None:
                self.done.set_result(None)


async def start(size: int) -> Echoed:
    """A `cat` on another core, connected."""
    loop = asyncio.get_running_loop()
    core = other_core()
    command = ["taskset", "-c", str(core), "/bin/cat"] if core >= 0 else ["/bin/cat"]
    child = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, bufsize=0)
    echoed = Echoed(size)
    echoed.writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, child.stdin)
    echoed.writer.set_write_buffer_limits(high=1 << 22)
    await loop.connect_read_pipe(lambda: echoed, child.stdout)
    return echoed


def define(size: str) -> None:
    """Register one row. The pipes and the program live as long as the row's loop."""
    running: dict[asyncio.AbstractEventLoop, Echoed] = {}

    async def body(repeat: int) -> int:
        loop = asyncio.get_running_loop()
        if loop not in running:
            running[loop] = await start(SIZES[size])
        done = loop.create_future()
        running[loop].send(repeat, done)
        await done
        return repeat

    body.__doc__ = f"Messages of {size} through pipes to a program and back."
    register(f"pipe_echo_{size}", 1, body)


for _size in SIZES:
    define(_size)
