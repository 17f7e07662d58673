"""The end of the interpreter with loops open or running, tasks pending, threads alive."""

import os

import pytest

CASES = {
    "a loop never run": """
loop = aio.new_event_loop()
""",
    "a loop that ran": """
loop = aio.new_event_loop()
loop.run_until_complete(aio.sleep(0))
""",
    "everything pending": """
import socket
left, right = socket.socketpair()
loop = aio.new_event_loop()
future = loop.create_future()

async def wait():
    await future

async def main():
    global tasks, gathered
    tasks = [aio.create_task(wait()) for _ in range(10)]
    gathered = aio.gather(wait(), aio.sleep(1000))
    loop.add_reader(left, int)
    loop.add_writer(right, int)
    loop.call_later(1000, int)
    await aio.sleep(0)

loop.run_until_complete(main())
loop.call_soon(print)
loop.call_soon_threadsafe(print)
""",
    "references in a circle": """
loop = aio.new_event_loop()
future = loop.create_future()
future.add_done_callback(future.set_result)
future.loop = loop
loop.future = future
async def wait():
    await future
task = loop.create_task(wait())
task.task = task
loop.call_soon(loop.stop)
loop.run_forever()
sys.kept = [loop, future, task]
import builtins
builtins.kept = sys.kept
""",
    "an unretrieved exception": """
async def fail():
    raise ValueError("never retrieved")

loop = aio.new_event_loop()
task = loop.create_task(fail())
loop.call_soon(loop.stop)
loop.run_forever()
""",
    "an open asynchronous generator": """
async def generator():
    try:
        yield 1
    finally:
        await aio.sleep(0)

async def main():
    global kept
    kept = generator()
    await anext(kept)

loop = aio.new_event_loop()
loop.run_until_complete(main())
""",
    "a coroutine half-way": """
async def main():
    global coro
    coro = aio.sleep(1000)
    coro.send(None)

aio.run(main())
""",
    "a group half-way": """
async def main():
    global group, leaving
    group = aio.TaskGroup()
    await group.__aenter__()
    group.create_task(aio.sleep(1000))
    leaving = group.__aexit__(None, None, None)
    leaving.send(None)

loop = aio.new_event_loop()
loop.run_until_complete(main())
""",
    "atexit runs a loop": """
import atexit

async def main():
    async with aio.TaskGroup() as group:
        group.create_task(aio.sleep(0.001))
    await aio.gather(aio.sleep(0), aio.sleep(0))

loop = aio.new_event_loop()
atexit.register(loop.close)
atexit.register(lambda: loop.run_until_complete(main()))
atexit.register(lambda: aio.run(main()))
""",
    "a finalizer at the very end": """
class Late:
    def __init__(self):
        self.loop = aio.new_event_loop()
        self.future = self.loop.create_future()

    def __del__(self):
        self.future.set_result(None)
        self.loop.call_soon(int)
        self.loop.run_until_complete(self.future)
        self.loop.close()

sys.modules["late"] = Late()
""",
    "a loop in a daemon thread": """
import threading, time

async def busy():
    while True:
        await aio.sleep(0)
        await aio.gather(aio.sleep(0.001), aio.sleep(0))

for _ in range(2):
    threading.Thread(target=lambda: aio.run(busy()), daemon=True).start()
time.sleep(0.05)
""",
    "an idle loop in a daemon thread": """
import threading, time
threading.Thread(target=lambda: aio.run(aio.sleep(1000)), daemon=True).start()
time.sleep(0.05)
""",
    "a daemon thread that posts": """
import threading, time
loop = aio.new_event_loop()
sys.loop = loop

def post():
    while True:
        loop.call_soon_threadsafe(int)

threading.Thread(target=post, daemon=True).start()
loop.run_until_complete(aio.sleep(0.05))
""",
    "a thread of the executor": """
import threading
gate = threading.Event()
loop = aio.new_event_loop()
loop.run_in_executor(None, gate.wait)
loop.call_soon(loop.stop)
loop.run_forever()
gate.set()
""",
    "tasks kept by a context variable": """
import contextvars
variable = contextvars.ContextVar("variable")

async def main():
    variable.set(aio.current_task())
    sys.context = contextvars.copy_context()
    await aio.sleep(0)

aio.run(main())
""",
    "signal handlers left": """
import signal
loop = aio.new_event_loop()
loop.add_signal_handler(signal.SIGUSR1, print)
loop.call_soon(loop.stop)
loop.run_forever()
""",
}
EXITS = {
    "sys.exit in a task": (
        7,
        """
async def main():
    task = aio.create_task(aio.sleep(1000))
    await aio.sleep(0)
    sys.exit(7)

aio.run(main())
""",
    ),
    "sys.exit in a callback": (
        7,
        """
loop = aio.new_event_loop()
loop.call_soon(sys.exit, 7)
loop.call_soon(print, "not reached")
loop.run_forever()
""",
    ),
    "sys.exit in a child of a group": (
        7,
        """
async def leave():
    sys.exit(7)

async def main():
    async with aio.TaskGroup() as group:
        group.create_task(aio.sleep(1000))
        group.create_task(leave())

aio.run(main())
""",
    ),
    "os._exit in a task": (
        7,
        """
async def main():
    os._exit(7)

aio.run(main())
""",
    ),
    "an exception of main": (
        1,
        """
async def main():
    await aio.sleep(0)
    raise ValueError("main")

aio.run(main())
""",
    ),
}


def sound(done):
    """No sign of a crash of the interpreter itself."""
    signs = ("Fatal Python error", "Segmentation fault", "Aborted", "Assertion", "Debug memory")
    return not any(sign in done.stderr for sign in signs)


@pytest.mark.parametrize("case", CASES)
def test_the_interpreter_ends_well(program, case):
    done = program(CASES[case] + "\nprint('end')")
    assert sound(done), done.stderr
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.parametrize("case", CASES)
def test_with_debug_hooks_on_the_allocators(program, case):
    environment = {**os.environ, "PYTHONMALLOC": "debug", "PYTHONASYNCIODEBUG": "1"}
    done = program(CASES[case] + "\nprint('end')", env=environment)
    assert sound(done), done.stderr
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.parametrize("case", EXITS)
def test_exit_codes(program, case):
    code, text = EXITS[case]
    done = program(text)
    assert sound(done), done.stderr
    assert (done.returncode, done.stdout) == (code, ""), done.stderr


def test_thousands_of_pending_tasks(program):
    done = program("""
loop = aio.new_event_loop()
future = loop.create_future()

async def wait():
    await future

tasks = [loop.create_task(wait()) for _ in range(5000)]
loop.call_soon(loop.stop)
loop.run_forever()
for task in tasks:
    task._log_destroy_pending = False
print("end")
""")
    assert sound(done), done.stderr
    assert (done.returncode, done.stdout) == (0, "end\n")


def test_a_second_import_after_the_first_was_dropped(program):
    """A test runner that empties `sys.modules` may import the package again, or fail to."""
    done = program("""
aio.run(aio.sleep(0))
package = aio.__name__
for name in [name for name in sys.modules if name.split(".")[0] == package != "asyncio"]:
    del sys.modules[name]
try:
    again = __import__(package)
except ImportError:
    pass
else:
    again.run(again.sleep(0))
aio.run(aio.sleep(0))
print("end")
""")
    assert sound(done), done.stderr
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
