"""The ways to run a program on pyaio: run, Runner, policy, loop_factory, import as, python -m."""

import asyncio
import contextvars
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


ABOUT = """
import sys, os
print(__name__, __file__, __package__, __spec__ and __spec__.name, __doc__)
print(sys.argv, sys.path[0])
print(sys.modules["__main__"].__dict__ is globals())
print(sorted(name for name in globals() if not name.startswith("__")))
"""


@pytest.mark.parametrize("arguments", [(), ("one", "--two", "-m", "three four")])
def test_a_script_sees_what_python_shows_it(python, tmp_path, arguments):
    app = tmp_path / "app.py"
    app.write_text(ABOUT)
    plain = python("app.py", *arguments)
    ours = python("-m", "pyaio", "app.py", *arguments)
    assert plain.returncode == 0
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, plain.stderr)


@pytest.mark.parametrize("module", ["module", "package", "package.inner"])
def test_a_module_sees_what_python_shows_it(python, tmp_path, module):
    (tmp_path / "module.py").write_text(ABOUT)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(ABOUT)
    (package / "inner.py").write_text(ABOUT)
    plain = python("-m", module, "one", "-x")
    ours = python("-m", "pyaio", "-m", module, "one", "-x")
    assert plain.returncode == 0
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, plain.stderr)


def test_a_folder_is_run_as_python_runs_it(python, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text("import other, sys; print(other.VALUE, sys.argv)")
    (folder / "other.py").write_text("VALUE = 5")
    plain = python("folder", "x")
    ours = python("-m", "pyaio", "folder", "x")
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert plain.stdout == "5 ['folder', 'x']\n"


@pytest.mark.parametrize(
    "ending",
    ["sys.exit(7)", "sys.exit('text')", "raise SystemExit", "sys.exit(None)", "os._exit(9)"],
)
def test_exit_codes(python, tmp_path, ending):
    app = tmp_path / "app.py"
    app.write_text(f"import sys, os\n{ending}\n")
    plain, ours = python(app), python("-m", "pyaio", app)
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        plain.returncode,
        plain.stdout,
        plain.stderr,
    )


def test_an_exception_prints_the_programs_traceback(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("def inner():\n    raise LookupError('why')\n\ninner()\n")
    plain, ours = python(app), python("-m", "pyaio", app)
    assert ours.returncode == plain.returncode == 1
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1] == "LookupError: why"
    assert "in inner" in ours.stderr
    assert "_program.py" not in ours.stderr


def test_a_syntax_error(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("def (:\n")
    plain, ours = python(app), python("-m", "pyaio", app)
    assert ours.returncode == plain.returncode == 1
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]


def test_a_missing_file_and_a_missing_module(python, tmp_path):
    plain, ours = python("missing.py"), python("-m", "pyaio", "missing.py")
    assert ours.returncode == plain.returncode == 2
    assert "missing.py" in ours.stderr
    plain = python("-m", "no_such_module_here")
    ours = python("-m", "pyaio", "-m", "no_such_module_here")
    assert ours.returncode == plain.returncode == 1
    assert "no_such_module_here" in ours.stderr


def test_no_arguments_is_a_usage_error(python):
    done = python("-m", "pyaio")
    assert done.returncode != 0
    assert "usage" in done.stderr


def test_an_interrupt_ends_the_program_as_under_python(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import asyncio, os, signal\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)\n"
        "    await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    plain, ours = python(app), python("-m", "pyaio", app)
    assert ours.returncode == plain.returncode
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_multiprocessing_finds_the_program(python, tmp_path):
    """A spawned child imports the main module again by its file."""
    app = tmp_path / "app.py"
    app.write_text(
        "import multiprocessing\n"
        "def work(n):\n"
        "    return n * 2\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, [1, 2]))\n"
    )
    ours = python("-m", "pyaio", app)
    assert (ours.returncode, ours.stdout) == (0, "[2, 4]\n"), ours.stderr


def test_pickles_of_the_programs_own_classes(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import pickle\n"
        "class Own:\n"
        "    pass\n"
        "print(type(pickle.loads(pickle.dumps(Own()))) is Own, Own.__module__)\n"
    )
    assert python("-m", "pyaio", app).stdout == "True __main__\n"


def test_run(impl):
    variable = contextvars.ContextVar("variable", default="default")

    async def main():
        variable.set("inside")
        return "result"

    assert impl.run(main()) == "result"
    assert variable.get() == "default"


def test_run_raises_the_exception(impl):
    async def main():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        impl.run(main())


def test_run_refuses_what_is_no_coroutine(impl, stock, outcome):
    for bad in (1, None, lambda: None):
        ours, theirs = outcome(impl.run, bad), outcome(stock.run, bad)
        assert ours[:2] == theirs[:2]
        assert ours[0] == "raised"


def test_run_within_a_running_loop(impl, run):
    async def inner():
        pass

    async def main():
        coro = inner()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            impl.run(coro)
        coro.close()

    run(main())


def test_run_cancels_what_is_left_and_closes_the_loop(impl):
    log, loops = [], []

    async def left():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("cancelled")

    async def main():
        loops.append(asyncio.get_running_loop())
        loops.append(impl.create_task(left()))
        await impl.sleep(0)

    impl.run(main())
    assert log == ["cancelled"]
    assert loops[0].is_closed()


def test_run_in_debug_mode(impl):
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert impl.run(main(), debug=True) is True
    assert impl.run(main(), debug=False) is False
    assert impl.run(main()) is bool(os.environ.get("PYTHONASYNCIODEBUG"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the keyword came with 3.12")
def test_run_with_a_loop_factory(impl, stock):
    async def main():
        return type(asyncio.get_running_loop())

    assert impl.run(main(), loop_factory=stock.SelectorEventLoop) is stock.SelectorEventLoop


def test_a_runner_runs_again_in_one_loop_and_context(impl):
    variable = contextvars.ContextVar("variable", default="default")

    async def first():
        variable.set("set")
        return asyncio.get_running_loop()

    async def second():
        return asyncio.get_running_loop(), variable.get()

    with impl.Runner() as runner:
        loop = runner.run(first())
        assert runner.get_loop() is loop
        assert runner.run(second()) == (loop, "set")
        given = contextvars.copy_context()
        assert runner.run(second(), context=given) == (loop, "default")
    assert loop.is_closed()
    coro = second()
    with pytest.raises(RuntimeError, match="Runner is closed"):
        runner.run(coro)
    coro.close()


def test_a_runner_with_a_loop_factory(impl):
    made = []

    def factory():
        made.append(impl.new_event_loop())
        return made[-1]

    async def main():
        return asyncio.get_running_loop()

    with impl.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) is made[0]


def test_the_environment_switches_debug_mode(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import pyaio\nloop = pyaio.new_event_loop()\nprint(loop.get_debug())\nloop.close()\n"
    )
    assert python(app, env={**os.environ, "PYTHONASYNCIODEBUG": "1"}).stdout == "True\n"
    assert python("-X", "dev", app).stdout == "True\n"
    assert python(app).stdout == "False\n"


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
