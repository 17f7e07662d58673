"""The life of a loop, and what it hands to its executor."""

import asyncio
import socket

from measure import NewEventLoop, row
from tasks import noop


@row(operations=1)
def loop_create_run_close(repeat: int, new_event_loop: NewEventLoop) -> int:
    """A loop created, run for one no-op coroutine and closed."""
    closed = 0
    for _ in range(repeat):
        loop = new_event_loop()
        loop.run_until_complete(noop())
        loop.close()
        closed += loop.is_closed()
    return closed


@row(operations=1)
async def run_in_executor(repeat: int) -> int:
    """`run_in_executor(None, int)`."""
    loop = asyncio.get_running_loop()
    done = 0
    for _ in range(repeat):
        done += await loop.run_in_executor(None, int) == 0
    return done


@row(operations=1)
async def getaddrinfo_numeric(repeat: int) -> int:
    """`getaddrinfo("127.0.0.1", 80)`: nothing to look up."""
    loop = asyncio.get_running_loop()
    found = 0
    for _ in range(repeat):
        infos = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        found += infos[0][4] == ("127.0.0.1", 80)
    return found
