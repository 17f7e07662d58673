"""Many children at once: every exit status is right, and nothing is left behind."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

STORM = """\
import asyncio, gc, os, sys, threading
from asyncio.subprocess import DEVNULL, PIPE

if sys.argv[1] == "pyaio":
    import pyaio

    pyaio.install()
CHILDREN, AT_ONCE = int(sys.argv[2]), 100
DATA = bytes(range(256)) * 4096


async def killed(n):
    child = await asyncio.create_subprocess_exec("/bin/sleep", "600", stdin=PIPE)
    if n % 2:
        child.kill()
    else:
        child.terminate()
    return await child.wait(), -9 if n % 2 else -15


async def fed(n):
    child = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
    output, _ = await child.communicate(DATA)
    assert output == DATA
    return child.returncode, 0


async def ended(n):
    # Every tenth leaves a grandchild that holds the pipe for a while.
    behind = "{ sleep 0.05; echo late; } & " if n % 10 == 2 else ""
    child = await asyncio.create_subprocess_shell(
        f"{behind}exit {n % 256}", stdin=DEVNULL, stdout=PIPE
    )
    output, _ = await child.communicate()
    assert output == (b"late\\n" if behind else b""), output
    return child.returncode, n % 256


async def main():
    async def one(n):
        async with places:
            status, expected = await (killed, fed, ended)[n % 3](n)
            assert status == expected, (n, status, expected)

    places = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*map(one, range(CHILDREN)))


def files():
    gc.collect()
    return sorted(os.listdir("/proc/self/fd"))


before = files()
asyncio.run(main())
try:
    os.waitpid(-1, os.WNOHANG)
    sys.exit("a child was left")
except ChildProcessError:
    pass
assert len(files()) == len(before), (before, files())
for thread in threading.enumerate():
    if thread.name.startswith("asyncio-waitpid"):
        thread.join()  # asyncio's may still be on its way out
assert threading.active_count() == 1
"""


@pytest.mark.parametrize(("loops", "children"), [("asyncio", 150), ("pyaio", 2000)])
def test_storm(python: Callable[..., CompletedProcess[str]], loops: str, children: int) -> None:
    """Short ones, killed ones, ones that a megabyte goes through, and their children."""
    result = python("-c", STORM, loops, children)
    assert (result.returncode, result.stderr) == (0, "")
