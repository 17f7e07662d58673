"""Resident memory: flat over a million tasks, and less for a pending task than on stock."""

import subprocess

import pytest

RESIDENT = """
import asyncio, gc, os, sys

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
"""
BODIES = {
    "awaited one by one": "await aio.create_task(nothing())",
    "gathered by the hundred": "await aio.gather(*(nothing() for _ in range(100)))",
    "grouped by the hundred": """async with aio.TaskGroup() as group:
                for _ in range(100):
                    group.create_task(nothing())""",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_million_tasks_leave_no_more_than_ten_thousand(program, body):
    done = program(f"""{RESIDENT}
async def nothing():
    pass

async def main():
    async def tasks(number):
        step = 1 if {body == "awaited one by one"} else 100
        for _ in range(number // step):
            {BODIES[body]}

    await tasks(10_000)
    before = resident()
    await tasks(1_000_000)
    print(resident() - before)

aio.run(main())
""")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8 * 2**20


PENDING = """
async def wait(future):
    await future

async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    gc.disable()
    warm_up = [loop.create_task(wait(future)) for _ in range(1000)]
    await aio.sleep(0)
    before = resident()
    tasks = [loop.create_task(wait(loop.create_future())) for _ in range(50_000)]
    await aio.sleep(0)
    print((resident() - before) // len(tasks))
    os._exit(0)

sys.stdout.reconfigure(line_buffering=True)
aio.run(main())
"""


def test_a_pending_task_takes_less_than_on_stock(python):
    def bytes_per_task(prologue):
        done: subprocess.CompletedProcess[str] = python("-c", f"{prologue}{RESIDENT}{PENDING}")
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    stock = bytes_per_task("import asyncio as aio\n")
    for prologue in (
        "import pyaio as aio\n",
        "import pyaio; pyaio.install()\nimport asyncio as aio\n",
    ):
        assert bytes_per_task(prologue) < stock
