"""`python -m pyaio ps PID` and `pstree PID`, and on 3.14+ `python -m asyncio`: who sees what."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HAS_STOCK_TOOL = sys.version_info >= (3, 14)
TOOLS = ["pyaio", "asyncio"] if HAS_STOCK_TOOL else ["pyaio"]
COLUMNS = [(0, 10), (11, 31), (32, 52), (53, 103), (104, 154), (155, 170), (171, None)]

WAITING = """
import asyncio, sys

async def leaf():
    await asyncio.get_running_loop().create_future()

async def middle():
    await leaf()

def child(name):
    return asyncio.create_task(middle(), name=name)

async def by_await():
    await child("awaited")

async def by_gather():
    await asyncio.gather(child("g0"), asyncio.gather(child("g1")))

async def by_shield():
    await asyncio.shield(child("shielded"))

async def by_wait():
    await asyncio.wait([child("waited")])

async def by_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(middle(), name="grouped")
        await asyncio.sleep(10_000)

async def main():
    parents = [by_await, by_gather, by_shield, by_wait, by_group]
    async with asyncio.TaskGroup() as group:
        for parent in parents:
            group.create_task(parent(), name=parent.__name__)
        await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print("undisturbed", flush=True)

asyncio.run(main())
"""
AWAITERS = {
    "Task-1": [],
    "by_await": ["Task-1"],
    "by_gather": ["Task-1"],
    "by_shield": ["Task-1"],
    "by_wait": ["Task-1"],
    "by_group": ["Task-1"],
    "awaited": ["by_await"],
    "g0": ["by_gather"],
    "g1": ["by_gather"],
    "shielded": ["by_shield"],
    "waited": ["by_wait"],
    "grouped": ["by_group"],
}

BUSY = """
import asyncio, sys, time

def deepest():
    print("ready", flush=True)
    {what}

async def inner():
    deepest()

async def outer():
    await asyncio.sleep(0.05)
    await inner()

async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(10_000), name="sleeper")
        group.create_task(outer(), name="busy")

asyncio.run(main())
"""

CHANGING = """
import asyncio

async def child(n):
    await asyncio.sleep(0)
    if n:
        await asyncio.gather(child(n - 1), child(n - 1))

async def main():
    sleepers = [asyncio.create_task(asyncio.sleep(1000), name=f"sleeper{n}") for n in range(50)]
    print("ready", flush=True)
    while True:
        await child(4)

asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path):
    """A context manager: a program on pyaio that has printed "ready"."""

    @contextlib.contextmanager
    def program(source, *, how=("-m", "pyaio")):
        app = tmp_path / "app.py"
        app.write_text(source)
        process = subprocess.Popen(
            [sys.executable, *how, app],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        with process:
            try:
                assert process.stdout.readline() == b"ready\n"
                yield process
            finally:
                process.kill()

    return program


@pytest.fixture
def show(python, tmp_path):
    """A function that runs a tool on a process and returns what it prints."""

    def show(process, command, tool="pyaio"):
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        done = python("-m", tool, command, process.pid, env=environment, encoding="utf-8")
        if done.returncode != 0 and not may_look(process):
            pytest.skip("this process may not read the memory of another one")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return show


def may_look(process):
    """Whether the kernel lets us read the memory of our child."""
    try:
        Path(f"/proc/{process.pid}/mem").open("rb").close()
    except PermissionError:
        return False
    return True


def rows(table):
    """The cells of each row of a table: thread, id, name, stack, chain, awaiter's name and id."""
    lines = table.splitlines()
    assert lines[0].split("  ")[0] == "tid"
    return [[line[first:end].strip() for first, end in COLUMNS] for line in lines[2:]]


@pytest.mark.parametrize("tool", TOOLS)
def test_who_awaits_whom(program, show, tool):
    with program(WAITING) as process:
        found = rows(show(process, "ps", tool))
        awaiters = {}
        for row in found:
            awaiters.setdefault(row[2], []).extend([row[5]] if row[5] else [])
        assert awaiters == AWAITERS
        ids = {row[2]: row[1] for row in found}
        assert len(set(ids.values())) == len(ids)
        for row in found:
            assert row[0] == str(process.pid)
            assert row[6] == ids.get(row[5], "0x0")
            if row[2] in ("awaited", "g0", "g1", "shielded", "waited", "grouped"):
                assert row[3] == "leaf -> middle"
            else:
                assert row[3].endswith("main" if row[2] == "Task-1" else row[2])
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"undisturbed\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tree(program, show, tool):
    with program(WAITING) as process:
        lines = show(process, "pstree", tool).splitlines()
    depth = {}
    for line in lines:
        text = line.lstrip("│├└─ ")
        depth.setdefault(text.split(" ")[0] if "(T)" not in text else text[4:], line.index(text))
    assert lines[0] == "└── (T) Task-1"
    for child, parents in AWAITERS.items():
        for parent in parents:
            assert depth[child] > depth[parent]
    assert depth["by_group"] > depth["main"]
    places = [line.split()[-1] for line in lines if " leaf " in line]
    assert len(places) == 6
    number = 1 + WAITING.splitlines().index("    await asyncio.get_running_loop().create_future()")
    assert all(place.endswith(f"app.py:{number}") for place in places)


@pytest.mark.parametrize("what", ["time.sleep(10_000)", "while True: pass"])
def test_a_blocked_and_a_busy_process(program, show, what):
    with program(BUSY.format(what=what)) as process:
        found = {row[2]: row[3] for row in rows(show(process, "ps"))}
        assert found.keys() == {"Task-1", "sleeper", "busy"}
        assert found["busy"].endswith("outer")
        assert found["Task-1"].endswith("main")
        if not HAS_STOCK_TOOL:  # which does not show what a running task is doing
            assert found["busy"] == "deepest -> inner -> outer"
            assert found["sleeper"] == "sleep"
        assert process.poll() is None


def test_a_stopped_process(program, show):
    with program(WAITING) as process:
        os.kill(process.pid, signal.SIGSTOP)
        found = {row[2] for row in rows(show(process, "ps"))}
    assert found == AWAITERS.keys()


@pytest.mark.skipif(HAS_STOCK_TOOL, reason="asyncio's own tool gives up sooner")
def test_tasks_that_come_and_go(program, show):
    with program(CHANGING) as process:
        for _ in range(3):
            found = {row[2] for row in rows(show(process, "ps"))}
            assert {f"sleeper{n}" for n in range(50)} <= found
        assert process.poll() is None


def test_tasks_that_await_each_other(program, python):
    source = """
import asyncio

async def one():
    await tasks[1]

async def two():
    await tasks[0]

async def main():
    tasks.append(asyncio.create_task(one(), name="one"))
    tasks.append(asyncio.create_task(two(), name="two"))
    await asyncio.sleep(0.05)
    print("ready", flush=True)
    await asyncio.sleep(1000)

tasks = []
asyncio.run(main())
"""
    with program(source) as process:
        done = python("-m", "pyaio", "pstree", process.pid)
        if done.returncode and not may_look(process):
            pytest.skip("this process may not read the memory of another one")
    assert done.returncode == 1
    assert "one" in done.stderr
    assert "two" in done.stderr


@pytest.mark.skipif(HAS_STOCK_TOOL, reason="asyncio's own tool shows nothing here")
def test_a_loop_in_another_thread(program, show):
    source = """
import asyncio, threading

async def main():
    print("ready", flush=True)
    await asyncio.sleep(1000)

threading.Thread(target=asyncio.run, args=(main(),)).start()
"""
    with program(source) as process:
        time.sleep(0.05)
        ((thread, _, name, stack, *_),) = rows(show(process, "ps"))
        threads = {path.name for path in Path(f"/proc/{process.pid}/task").iterdir()}
    assert name == "Task-1"
    assert stack.endswith("main")
    assert thread in threads
    assert thread != str(process.pid)


@pytest.mark.skipif(HAS_STOCK_TOOL, reason="asyncio's own tool words it otherwise")
def test_what_cannot_be_looked_at(program, python):
    sleeping = "import time; print('ready', flush=True); time.sleep(1000)"
    with program(sleeping, how=()) as process:
        done = python("-m", "pyaio", "ps", process.pid)
        assert done.returncode == 1
        assert (
            done.stderr == f"Error: process {process.pid} does not run pyaio on this version"
            " of Python\n"
        )
    done = python("-m", "pyaio", "ps", process.pid)
    assert (done.returncode, done.stderr) == (1, f"Error: there is no process {process.pid}\n")


@pytest.mark.parametrize("arguments", [["ps"], ["pstree", "x"], ["ps", "1", "2"]])
def test_wrong_arguments(python, arguments):
    done = python("-m", "pyaio", *arguments)
    assert done.returncode != 0
    assert "usage" in done.stderr
