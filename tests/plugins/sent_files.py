"""What the tests of sendfile() send, and what receives it."""

import asyncio
import contextlib
import os

import pytest

SIZE = 300_000
LARGE = 3_000_000


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file of SIZE random bytes."""
    path = tmp_path_factory.mktemp("sendfile") / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that no socket's buffers hold."""
    path = tmp_path_factory.mktemp("sendfile") / "large"
    path.write_bytes(os.urandom(LARGE))
    return path


async def settled(times=6):
    """Let the loop turn a few times."""
    for _ in range(times):
        await asyncio.sleep(0)


async def receive(sock, size=None):
    """What arrives: so many bytes, or everything."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    while size is None or len(got) < size:
        data = await loop.sock_recv(sock, 65536)
        if not data:
            break
        got += data
    return bytes(got)


def receive_now(sock):
    """What has arrived already."""
    got = bytearray()
    with contextlib.suppress(BlockingIOError):
        while data := sock.recv(1 << 20):
            got += data
    return bytes(got)


async def outcome(awaitable):
    """What it returns, or the type and the text of what it raises."""
    try:
        return await awaitable
    except Exception as error:
        return type(error), str(error)
