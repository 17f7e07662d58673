"""python -m pyaio: a program sees what python shows it; the command's other forms."""

import sys

import pytest

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


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(python, option):
    done = python("-m", "pyaio", option)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("usage: python -m pyaio", "ps", "pstree", "--version"):
        assert word in done.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(python, option):
    import pyaio

    done = python("-m", "pyaio", option)
    expected = f"pyaio {pyaio.__version__} on Python {sys.version.split()[0]}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_an_unknown_option_is_a_usage_error(python):
    done = python("-m", "pyaio", "--no-such-option")
    assert done.returncode == 1
    assert "usage" in done.stderr


CONSOLE = """
import asyncio
await asyncio.sleep(0, "slept")
type(asyncio.get_running_loop()).__module__
print(type(asyncio.current_task()).__module__)
1 / 0
"""


def test_the_console(python):
    plain = python("-m", "asyncio", input=CONSOLE)
    ours = python("-m", "pyaio", input=CONSOLE)
    assert (ours.returncode, plain.returncode) == (0, 0)
    assert "'slept'" in plain.stdout
    assert "'slept'" in ours.stdout
    assert "'pyaio._loop'" in ours.stdout
    assert "pyaio" not in plain.stdout
    assert "asyncio REPL" in ours.stderr + ours.stdout
    assert "ZeroDivisionError" in ours.stderr


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


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_the_children_of_multiprocessing_are_native(python, tmp_path, method):
    app = tmp_path / "app.py"
    app.write_text(
        "import asyncio, multiprocessing, warnings\n"
        "async def main():\n"
        "    return type(asyncio.get_running_loop()).__module__\n"
        "def grandchild(queue):\n"
        "    queue.put(asyncio.run(main()))\n"
        "def child(queue):\n"
        "    queue.put(asyncio.run(main()))\n"
        "    process = context().Process(target=grandchild, args=(queue,))\n"
        "    process.start()\n"
        "    process.join()\n"
        "def context():\n"
        f"    return multiprocessing.get_context({method!r})\n"
        "if __name__ == '__main__':\n"
        "    queue = context().SimpleQueue()\n"
        "    process = context().Process(target=child, args=(queue,))\n"
        "    process.start()\n"
        "    process.join()\n"
        "    print(queue.get(), queue.get())\n"
    )
    ours = python("-m", "pyaio", app)
    assert (ours.returncode, ours.stdout) == (0, "pyaio._loop pyaio._loop\n"), ours.stderr
    plain = python(app)
    assert "pyaio" not in plain.stdout


def test_pickles_of_the_programs_own_classes(python, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import pickle\n"
        "class Own:\n"
        "    pass\n"
        "print(type(pickle.loads(pickle.dumps(Own()))) is Own, Own.__module__)\n"
    )
    assert python("-m", "pyaio", app).stdout == "True __main__\n"
