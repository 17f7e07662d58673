"""Nothing is left behind: memory blocks, references, descriptors, resident memory."""

import sys

import pytest

# Each case defines `async def once(n)`, run many times in one loop, or `def whole()`, which makes
# and closes loops of its own.
ASYNC_CASES = {
    "task": "await aio.create_task(aio.sleep(0))",
    "named task in a context": """
    import contextvars
    await aio.create_task(aio.sleep(0), name=f"n{n}", context=contextvars.copy_context())
""",
    "failed task": """
    async def fail():
        raise ValueError(n)
    try:
        await aio.create_task(fail())
    except ValueError:
        pass
""",
    "cancelled task": """
    task = aio.create_task(aio.sleep(1000))
    await aio.sleep(0)
    task.cancel("message")
    try:
        await task
    except asyncio.CancelledError:
        pass
""",
    "task cancelled before it began": """
    async def never():
        pass
    task = aio.create_task(never())
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
""",
    "gather": "await aio.gather(*(aio.sleep(0, n) for n in range(5)))",
    "gather that fails": """
    async def fail():
        raise ValueError
    try:
        await aio.gather(fail(), aio.sleep(0), aio.sleep(0))
    except ValueError:
        pass
    await aio.sleep(0)
""",
    "gather that is cancelled": """
    outer = aio.gather(aio.sleep(1000), aio.sleep(1000))
    await aio.sleep(0)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        pass
""",
    "group": """
    async with aio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(aio.sleep(0))
""",
    "group that fails": """
    async def fail():
        raise ValueError
    try:
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(1000))
            group.create_task(fail())
    except* ValueError:
        pass
""",
    "future": """
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, n)
    await future
""",
    "callbacks of a future": """
    future = asyncio.get_running_loop().create_future()
    for _ in range(5):
        future.add_done_callback(id)
    future.remove_done_callback(int)
    future._callbacks
    future.set_result(None)
    future.add_done_callback(id)
    await aio.sleep(0)
""",
    "attributes": """
    task = aio.current_task()
    task.added = n
    for name in ("_coro", "_callbacks", "_fut_waiter", "_state", "_loop", "_must_cancel"):
        getattr(task, name)
    repr(task), task.get_stack(), task.get_name()
""",
    "callbacks": """
    loop = asyncio.get_running_loop()
    for count in range(5):
        loop.call_soon(lambda *args: None, *range(count))
        loop.call_soon(print, *range(count)).cancel()
    repr(loop.call_soon(int))
    await aio.sleep(0)
""",
    "callbacks that raise": """
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0, lambda: 1 / 0)
    await aio.sleep(0)
    await aio.sleep(0)
""",
    "timers": """
    loop = asyncio.get_running_loop()
    for delay in (0, 0, 1000, 2000):
        loop.call_later(delay, int).cancel()
    loop.call_later(0, int)
    await aio.sleep(0)
    await aio.sleep(0)
""",
    "timed sleep": "await aio.sleep(1e-9, n)",
    "threadsafe calls": """
    loop = asyncio.get_running_loop()
    for _ in range(3):
        loop.call_soon_threadsafe(int)
    loop.call_soon_threadsafe(int).cancel()
    await aio.sleep(0)
""",
    "readers": """
    import socket
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    right.send(b"x")
    loop.add_reader(left, left.recv, 1)
    loop.add_writer(right, int)
    await aio.sleep(0)
    await aio.sleep(0)
    loop.remove_reader(left)
    loop.remove_writer(right)
    left.close()
    right.close()
""",
    "readers left to the close of the socket": """
    import socket
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    loop.add_reader(left, int)
    left.close()
    right.close()
    loop.remove_reader(left)
""",
    "queues": """
    for kind in (aio.Queue, aio.PriorityQueue, aio.LifoQueue):
        queue = kind(1)
        getters = [aio.create_task(queue.get()) for _ in range(3)]
        await aio.sleep(0)
        getters[1].cancel()
        putters = [aio.create_task(queue.put((n, i))) for i in range(4)]
        await aio.sleep(0)
        putters[3].cancel()
        repr(queue)
        await aio.gather(*getters, *putters, return_exceptions=True)
        join = aio.create_task(queue.join())
        await aio.sleep(0)
        while queue._unfinished_tasks:
            queue.task_done()
        await join
        len(queue._getters), len(queue._putters)
""",
    "coroutines thrown away": """
    aio.Queue().get().close()
    aio.Queue().put(n).close()
    waiting = aio.Queue().get()
    waiting.send(None)
    waiting.close()
    aio.sleep(0).close()
    aio.sleep(1).close()
    half = aio.sleep(1000)
    half.send(None)
    half.close()
    group = aio.TaskGroup()
    group.__aenter__().close()
    group.__aexit__(None, None, None).close()
""",
    "bad input": """
    for attempt in (
        lambda: aio.create_task(1),
        lambda: aio.gather(1),
        lambda: aio.Future(unknown=1),
        lambda: aio.Future().result(),
        lambda: asyncio.get_running_loop().call_soon(),
        lambda: asyncio.get_running_loop().call_later("x", int),
        lambda: asyncio.get_running_loop().add_reader(-1, int),
    ):
        try:
            attempt()
        except Exception:
            pass
""",
    "asynchronous generators": """
    async def generator():
        yield n
    async for _ in generator():
        break
    await aio.sleep(0)
    await aio.sleep(0)
""",
    "wait, wait_for, shield and timeout": """
    await aio.wait([aio.create_task(aio.sleep(0))])
    await aio.wait_for(aio.sleep(0), 1000)
    await aio.shield(aio.sleep(0))
    async with aio.timeout(1000):
        await aio.sleep(0)
""",
    "primitives, free": """
    for guard in (aio.Lock(), aio.Semaphore(2), aio.BoundedSemaphore(2), aio.Condition()):
        async with guard:
            repr(guard)
    event = aio.Event()
    event.set()
    await event.wait()
    async with aio.Barrier(1):
        pass
""",
    "primitives, waited for and cancelled": """
    lock, event, semaphore = aio.Lock(), aio.Event(), aio.Semaphore(0)
    condition, barrier = aio.Condition(), aio.Barrier(3)
    await lock.acquire()
    async def wait_in_condition():
        async with condition:
            await condition.wait_for(lambda: n < 0)
    coroutines = [lock.acquire, event.wait, semaphore.acquire, wait_in_condition, barrier.wait]
    tasks = [aio.create_task(function()) for function in coroutines for _ in range(2)]
    await aio.sleep(0)
    await aio.sleep(0)
    if n % 2:
        [len(guard._waiters) for guard in (lock, event, semaphore, condition)]
    lock.release()
    event.set()
    semaphore.release()
    async with condition:
        condition.notify()
    for task in tasks:
        task.cancel("message")
    await aio.gather(*tasks, return_exceptions=True)
    assert not event._waiters and not condition._waiters
""",
    "primitives, dropped with who waits": """
    event, lock, condition = aio.Event(), aio.Lock(), aio.Condition()
    event.wait().send(None)
    event.note = event
    await lock.acquire()
    half = lock.acquire()
    half.send(None)
    lock.note = half
    await condition.acquire()
    waiting = condition.wait()
    waiting.send(None)
    condition.note = waiting
    event.wait().close()
""",
    "primitives, wrongly used": """
    for attempt in (
        lambda: aio.Lock().release(),
        lambda: aio.Lock(loop=None),
        lambda: aio.Semaphore(-1),
        lambda: aio.Semaphore("x"),
        lambda: aio.Condition(1),
        lambda: aio.Condition().notify(),
        lambda: aio.Barrier(0),
        lambda: repr(aio.Lock.__new__(aio.Lock)),
        lambda: aio.Semaphore(10**30).release(),
    ):
        try:
            attempt()
        except Exception:
            pass
""",
    "stock tasks": """
    import _asyncio
    await _asyncio.Task(aio.sleep(0), loop=asyncio.get_running_loop())
    await aio.gather(_asyncio.Task(aio.sleep(0), loop=asyncio.get_running_loop()))
""",
    "current and all tasks": "aio.current_task(), aio.all_tasks()",
    "stream transport": """
    import socket
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(asyncio.Protocol, sock=ours)
    theirs.send(bytes(5000))
    await aio.sleep(0)
    await aio.sleep(0)
    theirs.send(b"x")
    await aio.sleep(0)
    transport.pause_reading()
    transport.write(b"some")
    transport.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
    transport.resume_reading()
    transport.set_write_buffer_limits(high=5.5)
    repr(transport), transport._buffer, loop._selector.get_map()
    transport.close()
    await aio.sleep(0)
    theirs.close()
""",
    "stream transport with a backlog": """
    import socket
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(asyncio.Protocol, sock=ours)
    transport.write(bytes(400_000))
    transport.write(bytearray(1000))
    transport.writelines([b"y" * 10] * 100)
    theirs.recv(100_000)
    await aio.sleep(0)
    transport.abort()
    await aio.sleep(0)
    theirs.close()
""",
    "stream transports that fail": """
    import socket
    class Fails(asyncio.BufferedProtocol):
        def get_buffer(self, hint):
            return [bytearray(10), b"", None][n % 3]
        def buffer_updated(self, count):
            1 / 0
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Fails, sock=ours)
    for attempt in (
        lambda: transport.write("text"),
        lambda: transport.writelines([b"a", 5]),
        lambda: transport.set_write_buffer_limits(1, 2),
        lambda: transport.write(memoryview(b"abcd")[::2]),
    )[: 3 + n % 2]:
        try:
            attempt()
        except Exception:
            pass
    theirs.send(b"x")
    await aio.sleep(0)
    await aio.sleep(0)
    transport.abort()
    await aio.sleep(0)
    theirs.close()
""",
    "server and streams": """
    async def serve(reader, writer):
        writer.write(await reader.readexactly(3))
        writer.close()
    server = await aio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"abc")
    assert await reader.read() == b"abc"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
""",
}
EAGER_CASES = {
    "eager tasks": """
    async def child(turns):
        for _ in range(turns):
            await aio.sleep(0)
    loop = asyncio.get_running_loop()
    await aio.Task(child(0), loop=loop, eager_start=True)
    await aio.Task(child(1), loop=loop, eager_start=True)
""",
}
WHOLE_CASES = {
    "loops": """
    loop = aio.new_event_loop()
    loop.run_until_complete(aio.sleep(0))
    loop.close()
""",
    "loops with work left": """
    loop = aio.new_event_loop()
    loop.call_soon(int)
    loop.call_later(1000, int)
    loop.call_soon_threadsafe(int)
    loop.close()
""",
    "run": "aio.run(aio.sleep(0))",
    "loops with a signal handler": """
    import signal
    loop = aio.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
""",
    "loops in threads": """
    import threading
    thread = threading.Thread(target=lambda: aio.run(aio.sleep(0)))
    thread.start()
    thread.join()
""",
    "loops with a server": """
    async def main():
        server = await aio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await aio.open_connection("127.0.0.1", port)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
    aio.run(main())
""",
    "subclassed types": """
    class Own(aio.Future):
        pass
    class OwnTask(aio.Task):
        pass
    class OwnLoop(aio.SelectorEventLoop):
        pass
    loop = OwnLoop()
    Own(loop=loop).set_result(None)
    loop.run_until_complete(OwnTask(aio.sleep(0), loop=loop))
    loop.close()
""",
}
# A leak grows in every window; caches and freelists grow until they are full.
MEASURE = """
def counts():
    for _ in range(3):
        gc.collect()
    references = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
    return sys.getallocatedblocks(), references, len(os.listdir("/proc/self/fd"))

def growth(repeat, times, windows=4):
    repeat(2 * times)
    samples = [counts()]
    for _ in range(windows):
        repeat(times)
        samples.append(counts())
    steps = [[b - a for a, b in zip(*pair)] for pair in zip(samples, samples[1:])]
    return [min(column) for column in zip(*steps)]
"""


def grown(done):
    """What the program printed: growth of blocks, of references and of descriptors."""
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def check_flat(done, times):
    """Far less than one block or reference remained for each time."""
    blocks, references, descriptors = grown(done)
    assert descriptors <= 0
    assert blocks < times / 4, f"{blocks} blocks in {times} times"
    assert references < times / 4, f"{references} references in {times} times"


@pytest.mark.parametrize("case", [*ASYNC_CASES, *EAGER_CASES])
def test_in_one_loop(program, case):
    if case in EAGER_CASES and sys.version_info < (3, 13):
        pytest.skip("stock's eager tasks are not sound before 3.13")
    body = {**ASYNC_CASES, **EAGER_CASES}[case].strip("\n")
    body = body if body.startswith("    ") else f"    {body}"
    times = 300
    done = program(f"""{MEASURE}
async def once(n):
{body}

async def many(times):
    for n in range(times):
        await once(n)

loop = aio.new_event_loop()
loop.set_exception_handler(lambda loop, context: None)
print(*growth(lambda times: loop.run_until_complete(many(times)), {times}))
loop.close()
""")
    check_flat(done, times)


@pytest.mark.parametrize("case", WHOLE_CASES)
def test_in_loops_of_their_own(program, case):
    body = WHOLE_CASES[case].strip("\n")
    body = body if body.startswith("    ") else f"    {body}"
    times = 300
    done = program(f"""{MEASURE}
def whole():
{body}

def many(times):
    for _ in range(times):
        whole()

print(*growth(many, {times}))
""")
    check_flat(done, times)


def test_install_and_uninstall(program):
    times = 300
    done = program(f"""{MEASURE}
package = sys.modules.get("pyaio")

def many(times):
    for _ in range(times if package else 0):
        package.uninstall()
        package.install()

if package:
    package.install()
print(*growth(many, {times}))
""")
    check_flat(done, times)


@pytest.mark.parametrize("threads", [1, 3])
def test_resident_memory_is_flat_over_thousands_of_loops(program, threads):
    done = program(f"""
from concurrent.futures import ThreadPoolExecutor

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

async def main():
    async with aio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(aio.sleep(0))
    await aio.gather(aio.sleep(0), aio.sleep(0))

def cycle(_):
    loop = aio.new_event_loop()
    loop.call_soon_threadsafe(int)
    loop.run_until_complete(main())
    loop.close()

with ThreadPoolExecutor({threads}) as executor:
    list(executor.map(cycle, range(500)))
    gc.collect()
    before = resident()
    list(executor.map(cycle, range(3000)))
    gc.collect()
    print(resident() - before)
""")
    (grown_by,) = grown(done)
    assert grown_by < 8 * 2**20
