"""os.fork in a running loop: parent and child go on, each with its own descriptors."""

import pytest

WAIT = """
def child_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
# The parent has a reader, a timer and a thread-safe call to serve after the fork.
PARENT = """
import socket

async def busy_parent(fork):
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    log = []
    loop.add_reader(left, lambda: log.append(left.recv(10)))
    await aio.sleep(0.001)
    code = fork()
    right.send(b"byte")
    loop.call_later(0.001, log.append, "timer")
    loop.call_soon_threadsafe(log.append, "threadsafe")
    while len(log) < 3:
        await aio.sleep(0.001)
    loop.remove_reader(left)
    left.close()
    right.close()
    results = await aio.gather(*(aio.sleep(0, n) for n in range(3)))
    print(code, sorted(map(str, log)), results)
"""
EXPECTED = "{} [\"b'byte'\", 'threadsafe', 'timer'] [0, 1, 2]\n"


def check(done, stdout):
    """The program ended well and printed this, nothing on stderr."""
    assert (done.returncode, done.stdout, done.stderr) == (0, stdout, "")


@pytest.mark.parametrize("end", ["os._exit(5)", "os.execv('/bin/sh', ['sh', '-c', 'exit 5'])"])
def test_a_child_that_leaves_at_once(program, end):
    code = f"""
{WAIT}{PARENT}
def fork():
    pid = os.fork()
    if pid == 0:
        {end}
    return child_code(pid)

aio.run(busy_parent(fork))
"""
    check(program(code), EXPECTED.format(5))


def test_a_child_that_runs_a_loop_of_its_own(program):
    code = f"""
{WAIT}{PARENT}
async def in_child():
    async with aio.TaskGroup() as group:
        task = group.create_task(aio.sleep(0.001, 7))
    return sum(await aio.gather(aio.sleep(0, -1), aio.sleep(0, -1))) + task.result()

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(aio.run(in_child()))
    return child_code(pid)

aio.run(busy_parent(fork))
"""
    check(program(code), EXPECTED.format(5))


def test_a_child_that_watches_descriptors_of_its_own(program):
    code = f"""
{WAIT}{PARENT}
async def in_child():
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    got = loop.create_future()
    loop.add_reader(left, lambda: got.done() or got.set_result(left.recv(10)))
    right.send(b"12345")
    length = len(await got)
    loop.remove_reader(left)
    left.close()
    right.close()
    return length

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(aio.run(in_child()))
    return child_code(pid)

aio.run(busy_parent(fork))
"""
    check(program(code), EXPECTED.format(5))


def test_a_child_of_a_callback(program):
    code = f"""
{WAIT}
log = []

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    log.append(child_code(pid))

async def main():
    loop = asyncio.get_running_loop()
    loop.call_soon(fork)
    loop.call_soon(log.append, "next")
    loop.call_later(0, fork)
    await aio.sleep(0.01)
    print(log)

aio.run(main())
"""
    check(program(code), "[3, 'next', 3]\n")


def test_the_child_has_no_running_loop(program):
    code = f"""
{WAIT}
async def main():
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            os._exit(9)
        os._exit(1)
    print(child_code(pid), asyncio.get_running_loop().is_running())

aio.run(main())
"""
    check(program(code), "9 True\n")


def test_a_child_that_ends_the_interpreter_in_order(program):
    """The child unwinds, finalises everything it inherited, and the parent does not notice."""
    code = f"""
{WAIT}{PARENT}
class Leave(BaseException):
    pass

def fork():
    pid = os.fork()
    if pid == 0:
        # What the child reports of its cut-off run is not the point.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise Leave
    return child_code(pid)

loop = aio.new_event_loop()
try:
    loop.run_until_complete(busy_parent(fork))
except Leave:
    sys.exit(4)
loop.close()
"""
    check(program(code), EXPECTED.format(4))


def test_a_fork_between_two_runs(program):
    code = f"""
{WAIT}
async def main(n):
    await aio.sleep(0.001)
    return n

loop = aio.new_event_loop()
loop.run_until_complete(main(1))
pid = os.fork()
if pid == 0:
    other = aio.new_event_loop()
    os._exit(other.run_until_complete(main(6)))
print(child_code(pid), loop.run_until_complete(main(2)))
loop.close()
"""
    check(program(code), "6 2\n")


def test_multiprocessing_by_fork(program):
    code = """
import multiprocessing

def work(n):
    async def main():
        await aio.sleep(0.001)
        return sum(await aio.gather(*(aio.sleep(0, n) for _ in range(3))))

    return aio.run(main())

async def main():
    context = multiprocessing.get_context("fork")
    processes = []
    queue = context.SimpleQueue()
    for n in range(3):
        processes.append(context.Process(target=lambda n=n: queue.put(work(n))))
        processes[-1].start()
        await aio.sleep(0.001)
    for process in processes:
        process.join()
    print(sorted(queue.get() for _ in processes))

aio.run(main())
"""
    check(program(code), "[0, 3, 6]\n")


def test_many_forks_leave_no_descriptors_behind(program):
    code = f"""
{WAIT}
async def main():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        child_code(pid)
        await aio.sleep(0)
    print(len(os.listdir("/proc/self/fd")) - before)

aio.run(main())
"""
    check(program(code), "0\n")


def test_a_subprocess_of_a_running_loop(program):
    code = """
async def main():
    process = await aio.create_subprocess_exec(
        sys.executable, "-c", "print(5); raise SystemExit(6)", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    print(out, process.returncode)

aio.run(main())
"""
    check(program(code), "b'5\\n' 6\n")
