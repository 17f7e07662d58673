"""The memory of another process, and where it has loaded our extension module."""

from __future__ import annotations

import filecmp
import os
import sys
from pathlib import Path
from typing import NoReturn

from .. import _core

EXTENSION = Path(_core.__file__)
WORD = 8
PAGE = 4096


class RemoteError(Exception):
    """Why a process cannot be looked at, in words for its user."""


class BadAddressError(Exception):
    """What was read does not fit together: the process has changed it meanwhile."""


class Memory:
    """Reads the memory of a process, which goes on running; each page once, until forget().

    pid: its number.

    Raises RemoteError where there is no such process, or no permission.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pages: dict[int, bytes] = {}
        try:
            self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            refuse(pid, error)

    def close(self) -> None:
        """Close the file behind it."""
        os.close(self._file)

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._pages.clear()

    def read(self, address: int, size: int) -> bytes:
        """That many bytes; BadAddressError where there are none, RemoteError once it has ended."""
        start, skipped = address - address % PAGE, address % PAGE
        if skipped + size <= PAGE:
            return self._page(start)[skipped : skipped + size]
        pages = range(start, address + size, PAGE)
        return b"".join(map(self._page, pages))[skipped : skipped + size]

    def _page(self, start: int) -> bytes:
        if start not in self._pages:
            self._pages[start] = self._fetch(start)
        return self._pages[start]

    def _fetch(self, address: int) -> bytes:
        try:
            found = os.pread(self._file, PAGE, address)
        except PermissionError as error:
            refuse(self.pid, error)
        except (OSError, OverflowError) as error:
            raise BadAddressError(f"{address:#x}") from error
        if len(found) == PAGE:
            return found
        if not found:
            raise RemoteError(f"process {self.pid} has ended")
        raise BadAddressError(f"{address:#x}")

    def number(self, address: int, size: int = WORD, *, signed: bool = False) -> int:
        """The integer of `size` bytes at an address."""
        return int.from_bytes(self.read(address, size), sys.byteorder, signed=signed)


def refuse(pid: int, error: OSError) -> NoReturn:
    """Say why the process cannot be read."""
    if isinstance(error, PermissionError):
        reason = (
            f"no permission to read the memory of process {pid}. This takes what a debugger needs:"
            " the same user and /proc/sys/kernel/yama/ptrace_scope at 0, or root (in a container,"
            " CAP_SYS_PTRACE)"
        )
    else:
        reason = f"there is no process {pid}"
    raise RemoteError(reason) from error


def loaded_extension(pid: int) -> tuple[int, Path]:
    """Where a process has loaded a pyaio._core, and from which file."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError as error:
        refuse(pid, error)
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].removesuffix(" (deleted)").endswith(
            f"/pyaio/{EXTENSION.name}"
        ):
            return int(fields[0].partition("-")[0], 16), Path(fields[5])
    raise RemoteError(f"process {pid} does not run pyaio on this version of Python")


def same_file(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes."""
    try:
        return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def extension_base(pid: int) -> int:
    """Where the process has loaded our very extension module, in our very interpreter."""
    base, path = loaded_extension(pid)
    executable = Path(f"/proc/{pid}/exe")
    if not same_file(executable, Path("/proc/self/exe")):
        raise RemoteError(
            f"process {pid} runs {executable.readlink()}: use `-m pyaio ps` of that interpreter"
        )
    # The path is that of the process' own view of the file system.
    if not same_file(Path(f"/proc/{pid}/root{path}"), EXTENSION):
        raise RemoteError(
            f"process {pid} has loaded another build of pyaio, {path}: use the one that it runs"
        )
    return base
