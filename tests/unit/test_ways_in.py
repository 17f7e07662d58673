"""The ways to run a program on pyaio: run, Runner, policy, loop_factory, import as, python -m."""

import asyncio
import os
import sys

import pytest

PROGRAM = """
import asyncio, sys

async def worker(name, delay):
    await asyncio.sleep(delay)
    return name, type(asyncio.current_task()).__module__.split(".")[0]

async def failing():
    await asyncio.sleep(0)
    raise ValueError("child")

async def cancelled(log):
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise

async def main():
    log = [type(asyncio.get_running_loop()).__module__.split(".")[0]]
    log += [await worker("A", 0.02), await worker("B", 0.01)]
    tasks = [asyncio.create_task(worker("C", 0.02)), asyncio.create_task(worker("D", 0.01))]
    log += [await task for task in tasks]
    log += await asyncio.gather(worker("E", 0.02), worker("F", 0.01))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker(name, 0.01)) for name in "GH"]
    log += [task.result() for task in tasks]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cancelled(log))
            group.create_task(failing())
    except* ValueError as errors:
        log.append(str(errors.exceptions))
    print(*log, sep="\\n")
"""
ENDINGS = {
    "pyaio.run": "import pyaio; pyaio.run(main())",
    "pyaio.Runner": "import pyaio\nwith pyaio.Runner() as runner: runner.run(main())",
    "install": "import pyaio; pyaio.install(); asyncio.run(main())",
    "Runner with a loop_factory": (
        "import pyaio\n"
        "with asyncio.Runner(loop_factory=pyaio.new_event_loop) as runner: runner.run(main())"
    ),
    "loop_factory": "import pyaio; asyncio.run(main(), loop_factory=pyaio.new_event_loop)",
    "policy": (
        "import pyaio, warnings; warnings.simplefilter('ignore')\n"
        "asyncio.set_event_loop_policy(pyaio.EventLoopPolicy()); asyncio.run(main())"
    ),
    "new_event_loop": (
        "import pyaio; loop = pyaio.new_event_loop()\n"
        "loop.run_until_complete(main()); loop.close()"
    ),
    "import pyaio as asyncio": "asyncio.run(main())",
    "python -m pyaio": "asyncio.run(main())",
}


@pytest.mark.parametrize("way", ENDINGS)
def test_the_four_ways_run_on_pyaio(python, way, tmp_path):
    if way == "loop_factory" and sys.version_info < (3, 12):
        pytest.skip("asyncio.run takes a loop_factory since 3.12")
    if way == "policy" and sys.version_info >= (3, 16):
        pytest.skip("3.16 has no policies")
    text = PROGRAM + ENDINGS[way]
    if way == "import pyaio as asyncio":
        text = text.replace("import asyncio,", "import pyaio as asyncio,")
    app = tmp_path / "app.py"
    app.write_text(text)
    done = python(*(["-m", "pyaio"] if way == "python -m pyaio" else []), app)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "pyaio",
        *(str((name, "pyaio")) for name in "ABCDEFGH"),
        "cancelled",
        "(ValueError('child'),)",
    ]


def test_the_environment_switches_debug_mode(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import pyaio\nloop = pyaio.new_event_loop()\nprint(loop.get_debug())\nloop.close()\n"
    )
    assert python(app, env={**os.environ, "PYTHONASYNCIODEBUG": "1"}).stdout == "True\n"
    assert python("-X", "dev", app).stdout == "True\n"
    assert python(app).stdout == "False\n"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="3.14 makes no loop")
def test_get_event_loop_makes_a_native_one_once(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import pyaio as asyncio, threading, warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    loop = asyncio.get_event_loop()\n"
        "print([(w.category.__name__, w.filename == __file__) for w in caught])\n"
        "print(type(loop).__module__, asyncio.events.get_event_loop() is loop)\n"
        "async def running(): return asyncio.get_event_loop() is loop\n"
        "print(loop.run_until_complete(running()))\n"
        "loop.close()\n"
        "def elsewhere():\n"
        "    try: asyncio.get_event_loop()\n"
        "    except RuntimeError as error: print(error)\n"
        "thread = threading.Thread(target=elsewhere, name='other')\n"
        "thread.start(); thread.join()\n"
        "asyncio.set_event_loop(None)\n"
        "try: asyncio.get_event_loop()\n"
        "except RuntimeError as error: print(error)\n"
    )
    warned = [("DeprecationWarning", True)] if sys.version_info >= (3, 12) else []
    done = python(app)
    assert done.stdout.splitlines() == [
        str(warned),
        "pyaio._loop True",
        "True",
        "There is no current event loop in thread 'other'.",
        "There is no current event loop in thread 'MainThread'.",
    ]


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="3.16 has no policies")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_policy_gives_loops_per_thread(impl):
    import threading

    policy = (type(impl.get_event_loop_policy()) if impl is asyncio else impl.EventLoopPolicy)()
    loop = policy.new_event_loop()
    policy.set_event_loop(loop)
    assert policy.get_event_loop() is loop
    seen = []

    def elsewhere():
        try:
            policy.get_event_loop()
        except RuntimeError as error:
            seen.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "There is no current event loop in thread" in seen[0]
    policy.set_event_loop(None)
    loop.close()
