"""anyio and pytest-asyncio, by their own ways of taking a loop."""

import asyncio
import subprocess
import sys

import pytest

anyio = pytest.importorskip("anyio")


def loop_options(impl):
    return {"loop_factory": impl.new_event_loop}


def anyio_run(impl, main):
    return anyio.run(main, backend="asyncio", backend_options=loop_options(impl))


def test_groups_scopes_and_streams(impl):
    async def main():
        log = []
        send, receive = anyio.create_memory_object_stream(2)

        async def producer():
            async with send:
                for number in range(5):
                    await send.send(number)

        async def consumer():
            async with receive:
                log.extend([item async for item in receive])

        async with anyio.create_task_group() as group:
            group.start_soon(producer)
            group.start_soon(consumer)
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        log.append(scope.cancelled_caught)
        try:
            with anyio.fail_after(0.01):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep_forever)
        except TimeoutError:
            log.append("timed out")
        return log

    assert anyio_run(impl, main) == [0, 1, 2, 3, 4, True, "timed out"]


def test_cancelling_a_group_from_within(impl):
    async def main():
        log = []

        async def child(group):
            group.cancel_scope.cancel()
            try:
                await anyio.sleep(1000)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
                log.append("cleaned up")

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(child, group)
        return log

    assert anyio_run(impl, main) == ["cleaned up"] * 3


def test_a_failing_child(impl):
    async def main():
        async def fail():
            await anyio.sleep(0)
            raise ValueError("child")

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                group.start_soon(fail)
        return [str(error) for error in caught.value.exceptions]

    assert anyio_run(impl, main) == ["child"]


def test_started_children_threads_and_processes(impl):
    async def main():
        async def serve(*, task_status):
            task_status.started("ready")
            await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            value = await group.start(serve)
            group.cancel_scope.cancel()
        in_thread = await anyio.to_thread.run_sync(
            lambda: anyio.from_thread.run(anyio.sleep, 0) or "thread"
        )
        process = await anyio.run_process([sys.executable, "-c", "print(5)"])
        return value, in_thread, process.stdout

    assert anyio_run(impl, main) == ("ready", "thread", b"5\n")


def test_tcp(impl):
    async def main():
        async def handle(stream):
            async with stream:
                async for data in stream:
                    await stream.send(data)

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, handle)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"hello")
                data = await stream.receive()
            group.cancel_scope.cancel()
        return data

    assert anyio_run(impl, main) == b"hello"


def test_anyio_on_a_loop_of_ours(impl):
    """A program that is asyncio's at heart uses anyio inside."""

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        assert anyio.get_current_task().id == id(asyncio.current_task())
        return await impl.gather(anyio.to_thread.run_sync(int), impl.sleep(0, 1))

    assert impl.run(main()) == [0, 1]


PYTEST_ASYNCIO = {
    "conftest.py": """
import pyaio

def pytest_asyncio_loop_factories(config, item):
    return {"pyaio": pyaio.new_event_loop}
""",
    "test_it.py": """
import asyncio
import pytest

@pytest.fixture
async def value():
    await asyncio.sleep(0)
    yield 3
    await asyncio.sleep(0)

@pytest.mark.asyncio
async def test_it(value):
    assert type(asyncio.get_running_loop()).__module__.split(".")[0] == "pyaio"
    assert await asyncio.gather(asyncio.sleep(0, value)) == [3]
""",
}


def test_pytest_asyncio(tmp_path):
    pytest.importorskip("pytest_asyncio", minversion="1.4")
    for name, text in PYTEST_ASYNCIO.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."]
    command += ["--asyncio-mode=auto", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
