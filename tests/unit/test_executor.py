"""run_in_executor, the default executor and its shutdown, name resolution through it."""

import asyncio
import concurrent.futures
import contextlib
import socket
import sys
import threading

import pytest


def test_the_result(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, lambda a, b: a + b, 1, 2)
        assert asyncio.isfuture(future)
        return await future

    assert run(main()) == 3


def test_the_exception(impl, run):
    async def main():
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().run_in_executor(None, lambda: 1 / 0)

    run(main())


def test_it_runs_in_another_thread_with_stocks_name(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, lambda: threading.current_thread().name)

    assert run(main()).startswith("asyncio_")


def test_a_given_executor(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, "given") as executor:
            return await loop.run_in_executor(
                executor, lambda: threading.current_thread().name.startswith("given")
            )

    assert run(main()) is True


def test_the_default_executor_can_be_set(loop):
    executor = concurrent.futures.ThreadPoolExecutor(1, "mine")
    assert loop._default_executor is None
    loop.set_default_executor(executor)
    assert loop._default_executor is executor

    async def main():
        return await loop.run_in_executor(None, lambda: threading.current_thread().name)

    assert loop.run_until_complete(main()).startswith("mine")


def test_only_thread_pools_are_default_executors(loop):
    with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
        loop.set_default_executor(object())


def test_many_calls_wake_the_loop(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        futures = [loop.run_in_executor(None, lambda n=n: n) for n in range(500)]
        return [await future for future in futures]

    assert run(main()) == list(range(500))


def test_shutdown(loop):
    async def main():
        await loop.run_in_executor(None, int)
        assert loop._executor_shutdown_called is False
        await loop.shutdown_default_executor()
        assert loop._executor_shutdown_called is True
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            await loop.run_in_executor(None, int)

    loop.run_until_complete(main())


def test_shutdown_without_an_executor(loop):
    loop.run_until_complete(loop.shutdown_default_executor())


def test_shutdown_waits_for_the_threads(loop):
    log = []
    gate = threading.Event()

    def work():
        gate.wait()
        log.append("worked")

    async def main():
        future = loop.run_in_executor(None, work)
        loop.call_soon(gate.set)
        await loop.shutdown_default_executor()
        assert log == ["worked"]
        await future

    loop.run_until_complete(main())


@pytest.mark.skipif(
    sys.version_info < (3, 12, 4),
    reason="asyncio has no timeout in 3.11, none that works before 3.12.4",
)
def test_shutdown_with_a_timeout_warns(loop):
    gate = threading.Event()

    async def main():
        future = loop.run_in_executor(None, gate.wait)
        with pytest.warns(RuntimeWarning, match="executor did not finishing joining its threads"):
            await loop.shutdown_default_executor(timeout=0.01)
        gate.set()
        await future

    loop.run_until_complete(main())


def test_close_does_not_wait_for_the_threads(impl):
    loop = impl.new_event_loop()
    gate = threading.Event()
    future = loop.run_in_executor(None, gate.wait)
    loop.close()
    assert not future.done()
    gate.set()


def test_cancelling_the_future_of_a_queued_call(loop):
    gate = threading.Event()
    log = []

    async def main():
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            running = loop.run_in_executor(executor, gate.wait)
            queued = loop.run_in_executor(executor, log.append, "never")
            queued.cancel()
            await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await queued
            gate.set()
            await running

    loop.run_until_complete(main())
    assert log == []


def test_debug_mode_refuses_coroutines(loop):
    async def coroutine_function():
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
        loop.run_in_executor(None, coroutine_function)


def test_a_thread_that_ends_after_the_close_does_no_harm(impl):
    loop = impl.new_event_loop()
    gate, ended = threading.Event(), threading.Event()

    def work():
        gate.wait()
        ended.set()

    future = loop.run_in_executor(None, work)
    executor = loop._default_executor
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    gate.set()
    ended.wait()
    executor.shutdown()
    assert not future.done()


def test_getaddrinfo_numeric(impl, run):
    async def main():
        return await asyncio.get_running_loop().getaddrinfo(
            "127.0.0.1", 80, type=socket.SOCK_STREAM
        )

    assert run(main()) == socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)


def test_getaddrinfo_failure(impl, run):
    async def main():
        with pytest.raises(socket.gaierror):
            await asyncio.get_running_loop().getaddrinfo(
                "256.256.256.256", 80, flags=socket.AI_NUMERICHOST
            )

    run(main())


def test_getnameinfo(impl, run):
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

    async def main():
        return await asyncio.get_running_loop().getnameinfo(("127.0.0.1", 80), flags)

    assert run(main()) == ("127.0.0.1", "80")


def test_a_replaced_getaddrinfo_is_called(impl, run, monkeypatch):
    """Tests and libraries that forbid the network replace the function in `socket`."""

    def forbidden(*args, **kwargs):
        raise PermissionError("no network")

    async def main():
        with pytest.raises(PermissionError, match="no network"):
            await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    run(main())


def test_the_result_of_a_call_may_be_awaited_by_many(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, lambda: "shared")

        async def wait():
            return await future

        return await impl.gather(*(wait() for _ in range(5)))

    assert run(main()) == ["shared"] * 5


def test_calls_after_a_loop_was_closed_are_refused(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_in_executor(None, int)


def test_errors_of_a_submit(loop):
    executor = concurrent.futures.ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        loop.run_in_executor(executor, int)
    with contextlib.suppress(RuntimeError):
        loop.call_soon(loop.stop)
        loop.run_forever()
