"""call_soon_threadsafe: waking a waiting loop, order, close, futures of other threads."""

import asyncio
import concurrent.futures
import contextvars
import sys
import threading

import pytest


def in_thread(function, *args):
    """Run a function in a thread of its own and wait for its end; return its result."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *args).result()


def test_a_call_from_another_thread_wakes_the_loop(loop):
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()


def test_a_call_before_the_run(loop, turn):
    log = []
    in_thread(loop.call_soon_threadsafe, log.append, 1)
    turn()
    assert log == [1]


def test_a_call_from_the_loops_own_thread(loop, turn):
    log = []
    loop.call_soon(log.append, "soon")
    loop.call_soon_threadsafe(log.append, "threadsafe")
    loop.call_soon(log.append, "soon again")
    turn()
    assert log == ["soon", "threadsafe", "soon again"]


def test_calls_of_one_thread_keep_their_order(loop):
    log = []

    def post():
        for number in range(10_000):
            loop.call_soon_threadsafe(log.append, number)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=post)
    thread.start()
    loop.run_forever()
    thread.join()
    assert log == list(range(10_000))


def test_calls_of_many_threads_all_arrive(loop):
    arrived = []

    def post(name):
        for number in range(1000):
            loop.call_soon_threadsafe(arrived.append, (name, number))

    def watch():
        for thread in threads:
            thread.join()
        loop.call_soon_threadsafe(loop.stop)

    threads = [threading.Thread(target=post, args=(name,)) for name in range(4)]
    watcher = threading.Thread(target=watch)
    for thread in (*threads, watcher):
        thread.start()
    loop.run_forever()
    watcher.join()
    for name in range(4):
        assert [n for who, n in arrived if who == name] == list(range(1000))


def test_arguments_and_context(loop, turn):
    variable = contextvars.ContextVar("variable", default="default")
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    log = []
    loop.call_soon_threadsafe(lambda *args: log.append((variable.get(), args)), 1, 2)
    loop.call_soon_threadsafe(lambda: log.append(variable.get()), context=context)
    turn()
    assert log == [("default", (1, 2)), "given"]


def test_the_handle(impl, loop, turn):
    log = []
    handle = loop.call_soon_threadsafe(log.append, 1)
    assert isinstance(handle, asyncio.Handle)
    handle.cancel()
    assert handle.cancelled()
    turn()
    assert log == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="it has its own type since 3.14")
def test_the_handles_type(loop, turn):
    handle = loop.call_soon_threadsafe(print)
    assert isinstance(handle, asyncio.events._ThreadSafeHandle)
    handle.cancel()
    turn()


def test_cancel_from_another_thread(loop, turn):
    log = []
    handle = loop.call_soon_threadsafe(log.append, 1)
    in_thread(handle.cancel)
    turn()
    assert log == []
    assert in_thread(handle.cancelled) is True


def test_a_closed_loop_refuses(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        in_thread(loop.call_soon_threadsafe, print)


def test_debug_mode_allows_other_threads(loop, turn):
    loop.set_debug(True)
    log = []
    in_thread(loop.call_soon_threadsafe, log.append, 1)
    turn()
    assert log == [1]


def test_debug_mode_checks_the_callback(loop):
    async def coroutine_function():
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with call_soon_threadsafe"):
        loop.call_soon_threadsafe(coroutine_function)


def test_errors_are_reported(loop, turn, reported):
    in_thread(loop.call_soon_threadsafe, lambda: 1 / 0)
    turn()
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


def test_run_coroutine_threadsafe(impl, loop):
    async def add(a, b):
        await impl.sleep(0)
        return a + b

    async def fail():
        raise ValueError("why")

    def post():
        try:
            results.append(impl.run_coroutine_threadsafe(add(1, 2), loop).result())
            with pytest.raises(ValueError, match="why"):
                impl.run_coroutine_threadsafe(fail(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)

    results = []
    thread = threading.Thread(target=post)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert results == [3]


def test_cancelling_a_threads_future_cancels_the_task(impl, loop):
    log = []

    async def forever():
        try:
            started.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            log.append("cancelled")
            loop.call_soon(loop.stop)
            raise

    def post():
        future = impl.run_coroutine_threadsafe(forever(), loop)
        started.wait()
        future.cancel()

    started = threading.Event()
    thread = threading.Thread(target=post)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert log == ["cancelled"]


def test_a_wake_up_between_the_runs_is_not_lost(loop):
    log = []
    for number in range(50):
        in_thread(loop.call_soon_threadsafe, log.append, number)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert log == list(range(50))


def test_ping_pong_of_two_loops(impl):
    """Each message is posted while the other loop is idle in its poll, or about to be."""
    loops = [impl.new_event_loop(), impl.new_event_loop()]
    count = 0

    def ping(which):
        nonlocal count
        count += 1
        if count == 2000:
            for loop in loops:
                loop.call_soon_threadsafe(loop.stop)
        elif count < 2000:
            loops[1 - which].call_soon_threadsafe(ping, 1 - which)

    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    loops[0].call_soon_threadsafe(ping, 0)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for loop in loops:
        loop.close()
    assert count == 2000


def test_close_in_one_thread_while_another_posts(impl):
    """The poster gets an error or a handle, never a crash."""
    for _ in range(20):
        loop = impl.new_event_loop()
        started = threading.Event()
        outcomes = []

        def post(loop=loop, started=started, outcomes=outcomes):
            started.set()
            try:
                while True:
                    loop.call_soon_threadsafe(int)
            except RuntimeError as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=post)
        thread.start()
        started.wait()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        thread.join()
        assert outcomes == ["Event loop is closed"]


def test_loops_of_several_threads_are_independent(impl):
    def run(number):
        async def main():
            total = 0
            for _ in range(200):
                await impl.sleep(0)
                total += number
            assert len(impl.all_tasks()) == 1
            return total

        loop = impl.new_event_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        assert list(executor.map(run, range(8))) == [200 * number for number in range(8)]


def test_a_loop_made_in_one_thread_runs_in_another(impl, loop):
    async def main():
        return asyncio.get_running_loop()

    assert in_thread(lambda: loop.run_until_complete(main())) is loop


def test_to_thread(impl, run):
    variable = contextvars.ContextVar("variable")

    async def main():
        variable.set("carried over")
        return await impl.to_thread(lambda a, b=0: (a, b, variable.get()), 1, b=2)

    assert run(main()) == (1, 2, "carried over")
