"""The command `python -m pyaio`: a program run as the python command does it, made native.

Also its other forms: asyncio's interactive console, and the tasks of another process.
"""

from __future__ import annotations

import importlib.machinery
import io
import pkgutil
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from ._children import make_children_native
from ._install import install

if TYPE_CHECKING:
    from types import CodeType, TracebackType

USAGE = """\
usage: python -m pyaio [-m module | script] [arguments]
       python -m pyaio {ps,pstree} PID"""
HELP = f"""{USAGE}

Run a program on pyaio: what it imports as asyncio is native.

  script [arguments]     run a file, or the __main__.py of a folder or zip file
  -m module [arguments]  run a module
                         (without arguments: a console with top-level await)
  ps PID                 print a table of another process' tasks
  pstree PID             print them as trees of who awaits whom
  -V, --version          print the versions of pyaio and Python
  -h, --help             print this text"""
# Files whose frames a traceback of `python app.py` would not show. Debug builds do not freeze
# runpy.
LAUNCHER = {
    __file__,
    str(Path(__file__).with_name("__main__.py")),
    runpy._run_code.__code__.co_filename,  # type: ignore[attr-defined]
    "<frozen runpy>",
}


def without_launcher(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's own first frame on."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename in LAUNCHER:
        traceback = traceback.tb_next
    return traceback


def script_code(path: str) -> CodeType | None:
    """The code of a source file, or of a .pyc file."""
    if path.endswith(".pyc"):
        return importlib.machinery.SourcelessFileLoader("__main__", path).get_code("__main__")
    with io.open_code(path) as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def run_script(path: str) -> None:
    """Execute a file in the real __main__ module, which stays so until the process ends."""
    absolute = str(Path(path).absolute())
    try:
        code = script_code(absolute)
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {absolute!r}: {reason}", file=sys.stderr)
        sys.exit(2)
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(path).resolve().parent)
    namespace = fresh_main()
    namespace["__file__"] = absolute
    namespace["__loader__"] = importlib.machinery.SourceFileLoader("__main__", absolute)
    exec(code, namespace)  # type: ignore[arg-type]


def fresh_main() -> dict[str, object]:
    """The namespace of __main__ as the interpreter makes it."""
    namespace = vars(sys.modules["__main__"])
    kept: dict[str, object] = {name: None for name in namespace if name.startswith("__")}
    kept.update(__name__="__main__", __builtins__=namespace["__builtins__"])
    if "__annotations__" in kept:
        kept["__annotations__"] = {}
    namespace.clear()
    namespace.update(kept)
    return namespace


def run(arguments: list[str]) -> None:
    """Run what the command line names; arguments is what follows `python -m pyaio`."""
    if arguments[0] == "-m" and len(arguments) > 1:
        sys.argv[:] = arguments[1:]
        fresh_main()
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
    elif arguments[0].startswith("-"):
        sys.exit(USAGE)
    else:
        sys.argv[:] = arguments
        if pkgutil.get_importer(arguments[0]) is None:
            run_script(arguments[0])
        else:
            # A folder or a zip file with a __main__ module.
            sys.path[0] = arguments[0]
            fresh_main()
            runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]


def make_native() -> None:
    """install() here, and in every process that multiprocessing starts from here."""
    install()
    make_children_native()


def show_tasks(command: str, arguments: list[str]) -> None:
    """Print the tasks of another process, with asyncio's own tool where it has one."""
    if sys.version_info >= (3, 14):
        sys.argv[:] = ["python -m pyaio", command, *arguments]
        runpy.run_module("asyncio", run_name="__main__")
    else:
        from ._remote import command as remote

        remote.main(command, arguments)


def hide_launcher() -> None:
    """Have the interpreter report the exception that ends the program without our frames."""
    report = sys.excepthook

    def excepthook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        traceback = without_launcher(traceback)
        report(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = excepthook


def main() -> None:
    """The command itself; the program's exception or SystemExit goes on to the interpreter."""
    arguments = sys.argv[1:] or ["-m", "asyncio"]
    if arguments[0] in ("-h", "--help"):
        print(HELP)
        return
    if arguments[0] in ("-V", "--version"):
        print(f"pyaio {__version__} on Python {sys.version.split()[0]}")
        return
    if arguments[0] in ("ps", "pstree"):
        show_tasks(arguments[0], arguments[1:])
        return
    make_native()
    try:
        run(arguments)
    except SystemExit:
        raise
    except BaseException:
        hide_launcher()
        raise
