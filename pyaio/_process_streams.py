"""Subprocesses whose standard streams are native."""

from __future__ import annotations

from typing import Any

from . import _core, _stock, _subprocess
from ._rebinding import Names
from ._streams import FlowControlMixin, StreamReader, StreamWriter


class SubprocessStreamProtocol(
    _core.SubprocessStreamProtocol, FlowControlMixin, _stock.SubprocessStreamProtocol
):
    """Between a process and its streams; mirrors asyncio.subprocess.SubprocessStreamProtocol."""


class Process(_core.Process, _stock.subprocess.Process):  # type: ignore[misc]
    """A child with its streams; mirrors asyncio.subprocess.Process."""


NATIVES: dict[Any, Any] = {
    _stock.SubprocessStreamProtocol: SubprocessStreamProtocol,
    _stock.subprocess.Process: Process,
}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class

# Process is what stands in the module by then.
_names = Names(_stock.subprocess, {"SubprocessStreamProtocol": SubprocessStreamProtocol})

create_subprocess_exec, create_subprocess_shell = _core._adopt_subprocess(
    create_exec=_names.rebind(_stock.subprocess.create_subprocess_exec),
    create_shell=_names.rebind(_stock.subprocess.create_subprocess_shell),
    protocol=SubprocessStreamProtocol,
    transport=_subprocess._UnixSubprocessTransport,
    watcher=_subprocess.ChildWatcher,
    program_watches=_subprocess.program_watches if _stock.HAS_CHILD_WATCHERS else None,
    end_child=_subprocess.end_child,
    limit=_stock.streams._DEFAULT_LIMIT,
    reader=StreamReader,
    writer=StreamWriter,
    process=Process,
)

NATIVES |= {
    _stock.subprocess.create_subprocess_exec: create_subprocess_exec,
    _stock.subprocess.create_subprocess_shell: create_subprocess_shell,
}
