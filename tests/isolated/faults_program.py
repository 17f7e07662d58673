"""Puts one row of network_calls.py through every fault; run with faults.c preloaded.

Usage: faults_program.py IMPLEMENTATION ROW. Prints what was done, or what went wrong.
"""

import asyncio
import ctypes
import errno
import faulthandler
import gc
import sys
import warnings
from pathlib import Path

import network_calls

CALLS = [
    "socket",
    "bind",
    "listen",
    "accept",
    "connect",
    "epoll_ctl",
    "recv",
    "send",
    "read",
    "write",
    "sendfile",
]
# Which errors each call may plausibly have; EAGAIN and EINTR are no errors, but to be tried again.
ERRORS = {
    "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
    "bind": ["EADDRINUSE", "ENOMEM"],
    "listen": ["EADDRINUSE"],
    "accept": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EINTR", "EAGAIN"],
    "connect": ["ECONNREFUSED", "ENOBUFS", "EINTR", "EAGAIN", "ENOMEM"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "recv": ["ECONNRESET", "ENOBUFS", "ENOMEM", "EINTR", "EAGAIN"],
    "send": ["EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM", "EINTR", "EAGAIN"],
    "read": ["EIO", "EINTR", "EAGAIN"],
    "write": ["EPIPE", "EINTR", "EAGAIN"],
    "sendfile": ["EPIPE", "ECONNRESET", "ENOTCONN", "EINVAL", "EIO", "ENOMEM", "EINTR", "EAGAIN"],
}
# What a server gets over by itself: it goes on accepting.
PASSING = {("accept", name) for name in ERRORS["accept"]}
SETTLING_TURNS = 200
# After which a row that waits for something that cannot come any more is cancelled.
PATIENCE = 0.3
EXPECTED: tuple[type[BaseException], ...] = (
    OSError,
    EOFError,
    MemoryError,
    asyncio.CancelledError,
    TimeoutError,
)
if sys.version_info < (3, 14):
    # What a server without a socket gives, and happy eyeballs without an address.
    EXPECTED += (IndexError,)


def descriptors():
    """What is behind the open descriptors: inodes, for sockets and pipes."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue  # that of the listing, or the second thread's
        if target != "/dev/null":  # which is what the second thread opens
            found.append(target)
    return sorted(found)


class Trial:
    """One row on one loop."""

    def __init__(self, row, new_event_loop):
        self.row = row
        self.loop = new_event_loop()
        self.loop.set_exception_handler(self.report)
        self.shim = ctypes.CDLL(None)
        self.unexpected = []
        self.runs = 0
        self.fault = None

    def report(self, _loop, context):
        """Note what the loop has to say, unless it is about a fault."""
        error = context.get("exception")
        # A server that closed while it backed off is told to serve on, as on stock.
        late = "_start_serving" in context["message"] and isinstance(error, ValueError)
        # A transport that cannot be watched goes, and with it who waits for what it would bring.
        deaf = "destroyed" in context["message"] and self.fault == "epoll_ctl"
        if not (isinstance(error, EXPECTED) or late or deaf):
            self.unexpected.append(context)

    def turn(self):
        """Run the loop once."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    async def attempt(self, peers):
        """Carry out the row, with an end in any case."""
        await asyncio.wait_for(network_calls.ROWS[self.row](self.loop, peers), PATIENCE)

    def settle(self, before):
        """Let everything end that was begun."""
        for _ in range(SETTLING_TURNS):
            self.turn()
            gc.collect(1)
            if descriptors() == before:
                return
        gc.collect()
        self.turn()

    def run(self, what, *, fault=None, cancel_after=None):
        """One run; returns how many turns it took and how often each call was made."""
        self.runs += 1
        before = descriptors()
        peers = network_calls.Peers()
        self.shim.faults_begin()
        self.fault = None
        if fault is not None:
            call, at, name = fault
            self.fault = call
            self.shim.faults_arm(CALLS.index(call), at, getattr(errno, name))
        task = self.loop.create_task(self.attempt(peers))
        turns = 0
        while not task.done():
            if turns == cancel_after:
                task.cancel()
            if cancel_after is None:
                self.loop.run_until_complete(asyncio.wait([task], timeout=0.0005))
            else:
                self.turn()
            turns += 1
        made = [self.shim.faults_made(i) for i in range(len(CALLS))]
        self.shim.faults_end()
        self.check_outcome(what, task, fault, cancel_after)
        del task
        peers.close()
        self.settle(before)
        self.check(what, before)
        return turns, made

    def check_outcome(self, what, task, fault, cancel_after):
        """How a run may end."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EXPECTED):
            raise error
        harmless = fault is None and cancel_after is None
        if fault is not None and (fault[0], fault[2]) in PASSING and "sock" not in self.row:
            harmless = True
        if harmless and (error is not None or task.cancelled()):
            raise AssertionError(f"{what}: it ended with {error!r}")

    def check(self, what, before):
        """What must hold after each run."""
        problems = []
        if descriptors() != before:
            left = [d for d in descriptors() if d not in before]
            problems.append(f"descriptors left: {left}; gone: {set(before) - set(descriptors())}")
        if self.shim.faults_trespasses():
            problems.append("it used somebody else's descriptor")
        if self.shim.faults_bad_closes():
            problems.append("it closed a descriptor twice")
        if self.unexpected:
            problems.append(f"reported: {self.unexpected}")
        if problems:
            raise AssertionError(f"{what}: {'; '.join(problems)}")

    def every_turn(self):
        """Cancel it after any number of turns."""
        turns, _ = self.run("uncancelled", cancel_after=10**6)
        for after in range(turns + 1):
            self.run(f"cancelled after {after} turns", cancel_after=after)

    def every_call(self):
        """Fail each system call that it makes, one after another, with each error."""
        _, made = self.run("undisturbed")
        for call, count in zip(CALLS, made, strict=True):
            for at in range(1, count + 1):
                for name in ERRORS[call]:
                    self.run(f"{call}() number {at} fails: {name}", fault=(call, at, name))


def main():
    implementation, row = sys.argv[1:]
    faulthandler.dump_traceback_later(120, exit=True)
    warnings.simplefilter("ignore", ResourceWarning)
    asyncio.constants.ACCEPT_RETRY_DELAY = 0.01
    new_event_loop = asyncio.new_event_loop
    if implementation == "pyaio":
        import pyaio

        pyaio.install()
        new_event_loop = pyaio.new_event_loop
    trial = Trial(row, new_event_loop)
    trial.shim.faults_made.restype = ctypes.c_long
    trial.shim.faults_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int]
    trial.run("first")  # what is opened once and for all
    trial.shim.faults_recycle()
    trial.every_turn()
    trial.every_call()
    trial.shim.faults_stop_recycling()
    trial.loop.run_until_complete(trial.loop.shutdown_default_executor())
    trial.loop.close()
    print(trial.runs, "runs")


if __name__ == "__main__":
    main()
