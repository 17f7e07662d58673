"""CPython's objects in the memory of another process: strings, code, frames, coroutines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import TYPE_CHECKING

from .memory import WORD, BadAddressError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .memory import Memory

LONGEST = 1 << 20  # of what we read at once: more is a torn read
DEEPEST = 10_000  # frames of a stack
# Frame states: below SUSPENDED it has not begun, or stands at a plain `yield`.
SUSPENDED, RUNNING = -1, 0
# The RESUME instruction where it goes on: how far ahead it is, and what its argument says where
# it stands at `yield from` or `await`.
RESUME_AHEAD = 0 if sys.version_info >= (3, 13) else 2
AWAITING = 2
# Objects whose frame stands in them, and objects that only hand on to another one.
GENERATORS = {"coroutine", "generator", "async_generator"}
WRAPPERS = {
    "coroutine_wrapper",
    "async_generator_asend",
    "async_generator_athrow",
    "anext_awaitable",
    "pyaio._core.CoroutineWrapper",
}


@dataclass(frozen=True)
class Frame:
    """One call on a stack.

    function: its qualified name.
    file, line: where it stands; empty and 0 for a native one.
    """

    function: str
    file: str = ""
    line: int = 0


def blank() -> None:
    """Its code is the pattern for line tables that were read."""


class Objects:
    """Reads objects by their addresses.

    places: offsets, as _core._memory_map() names them.
    """

    def __init__(self, memory: Memory, places: dict[str, int]) -> None:
        self.memory = memory
        self.places = places
        self.type_name = cache(self._type_name)
        self._extends = cache(self._read_extends)
        self._code = cache(self._read_code)

    def field(self, address: int, place: str, size: int = WORD, *, signed: bool = False) -> int:
        """The integer or the address in a field, named "struct.field"."""
        return self.memory.number(address + self.places[place], size, signed=signed)

    def type_of(self, address: int) -> int:
        """The address of an object's type."""
        return self.field(address, "object.type")

    def _type_name(self, type_address: int) -> str:
        start = self.field(type_address, "type.name")
        text = b""
        while b"\0" not in text and len(text) < 256:
            text += self.memory.read(start + len(text), 1)
        return text.partition(b"\0")[0].decode("ascii", "replace")

    def is_a(self, address: int, type_address: int) -> bool:
        """Whether an object is of a type, or of one that extends it."""
        return self._extends(self.type_of(address), type_address)

    def _read_extends(self, found: int, wanted: int) -> bool:
        for _ in range(DEEPEST):
            if found in (0, wanted):
                return found != 0
            found = self.field(found, "type.base")
        raise BadAddressError("endless bases")

    def length(self, address: int, place: str) -> int:
        """A length in a field, if it is credible."""
        value = self.field(address, place, signed=True)
        if not 0 <= value <= LONGEST:
            raise BadAddressError(f"a length of {value}")
        return value

    def string(self, address: int) -> str:
        """The value of a str."""
        length = self.length(address, "str.length")
        state = self.field(address, "str.state", 4)
        width, compact, ascii_only = state >> 2 & 7, state >> 5 & 1, state >> 6 & 1
        if not compact or width not in (1, 2, 4):
            raise BadAddressError("no string")
        start = address + self.places["str.ascii" if ascii_only else "str.other"]
        codec = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
        return self.memory.read(start, length * width).decode(codec, "replace")

    def small_int(self, address: int) -> int:
        """The value of an int of one or two digits."""
        digits = self.memory.number(address + self.places["int.digits"])
        low, high = digits & (1 << 30) - 1, digits >> 32
        size = self.field(address, "object.size")
        # The number of digits, from 3.12 on above three bits of other use.
        return low + (high << 30) if size in (2, 2 << 3) else low

    def items(self, address: int, kind: str) -> list[int]:
        """The addresses in a "list" or "tuple"."""
        start = address + self.places[f"{kind}.items"]
        if kind == "list":
            start = self.memory.number(start)
        count = self.length(address, "object.size")
        words = memoryview(self.memory.read(start, count * WORD)) if count else memoryview(b"")
        return list(words.cast("P"))

    def _read_code(self, address: int) -> tuple[str, str, int, CodeType]:
        """Of a code object: name, file, start of its instructions, and one with its lines."""
        if self.type_name(self.type_of(address)) != "code":
            raise BadAddressError("no code")
        table = self.field(address, "code.lines")
        data = self.memory.read(
            table + self.places["bytes.data"], self.length(table, "object.size")
        )
        code = blank.__code__.replace(
            co_linetable=data,
            co_firstlineno=self.field(address, "code.line", 4, signed=True),
            co_code=bytes(2 * self.length(address, "object.size")),
        )
        name = self.string(self.field(address, "code.name"))
        file = self.string(self.field(address, "code.file"))
        return name, file, address + self.places["code.start"], code

    def frame(self, address: int) -> Frame:
        """What runs in an interpreter frame, and where."""
        name, file, start, code = self._code(self.field(address, "frame.code"))
        offset = self.field(address, "frame.instruction") - start
        # Before its first instruction a frame may stand one in front of it.
        lines = (line for first, end, line in code.co_lines() if first <= max(offset, 0) < end)
        return Frame(name, file, next(lines, None) or code.co_firstlineno)

    def awaited_by_frame(self, address: int) -> int:
        """What the suspended frame of a coroutine or generator awaits, or 0."""
        instruction = self.field(address, "frame.instruction")
        argument = self.memory.number(instruction + RESUME_AHEAD + 1, 1)
        top = self.field(address, "frame.stack_top", 4, signed=True)
        if argument & 3 < AWAITING or not 0 < top <= LONGEST:
            return 0
        return self.memory.number(address + self.places["frame.locals"] + (top - 1) * WORD)

    def running_frames(self, thread: int, last: int) -> list[Frame]:
        """The frames of a running thread, innermost first, as far as the frame `last`."""
        if "thread.cframe" in self.places:
            address = self.field(self.field(thread, "thread.cframe"), "cframe.frame")
        else:
            address = self.field(thread, "thread.frame")
        frames = []
        for _ in range(DEEPEST):
            if address == 0:
                break
            if self.type_name(self.type_of(self.field(address, "frame.code"))) == "code":
                frames.append((address, self.frame(address)))
            if address == last:
                return [frame for _, frame in frames]
            address = self.field(address, "frame.previous")
        raise BadAddressError("the thread runs something else")

    def awaited(self, address: int) -> Iterator[tuple[int, Frame | None]]:
        """From a coroutine on, what awaits what: each object, and its frame if it has one."""
        for _ in range(DEEPEST):
            if address == 0:
                return
            name = self.type_name(self.type_of(address))
            frame, following = None, 0
            if name in GENERATORS:
                state = self.field(address, "coroutine.state", 1, signed=True)
                inner = address + self.places["coroutine.frame"]
                if state <= RUNNING:
                    frame = self.frame(inner)
                if state == SUSPENDED:
                    following = self.awaited_by_frame(inner)
            elif name in WRAPPERS:
                following = self.field(address, "wrapper.wrapped")
            yield address, frame
            address = following
        raise BadAddressError("an endless chain")
