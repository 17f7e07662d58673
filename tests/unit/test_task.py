"""Task: its life from creation to end, what it may await, how it may fail."""

import asyncio
import collections.abc
import sys
import types

import pytest


async def nothing():
    pass


async def value(result):
    return result


async def fail(error):
    raise error


def test_a_task_runs_its_coroutine_to_the_result(impl, run):
    async def main():
        task = impl.create_task(value(3))
        assert not task.done()
        assert await task == 3
        assert task.done()
        assert not task.cancelled()
        assert task.result() == 3
        assert task.exception() is None

    run(main())


def test_a_task_carries_the_exception(impl, run):
    error = ValueError("why")

    async def main():
        task = impl.create_task(fail(error))
        with pytest.raises(ValueError) as caught:
            await task
        assert caught.value is error
        assert task.exception() is error
        assert not task.cancelled()

    run(main())


def test_awaiting_a_failed_task_twice_raises_twice(impl, run):
    async def main():
        task = impl.create_task(fail(ValueError()))
        for _ in range(2):
            with pytest.raises(ValueError):
                await task

    run(main())


def test_nothing_runs_before_the_next_iteration(impl, loop, turn):
    log = []

    async def body():
        log.append("ran")

    task = loop.create_task(body())
    assert log == []
    turn()
    assert log == ["ran"]
    assert task.done()


def test_tasks_start_in_the_order_of_creation(impl, loop, turn):
    log = []

    async def body(name):
        log.append(name)

    tasks = [loop.create_task(body(name)) for name in range(10)]
    turn()
    assert log == list(range(10))
    assert all(task.done() for task in tasks)


def test_tasks_and_callbacks_share_one_queue(impl, loop, turn):
    log = []

    async def body(name):
        log.append(name)
        await impl.sleep(0)
        log.append(name + "2")

    loop.call_soon(log.append, "before")
    tasks = [loop.create_task(body("a"))]
    loop.call_soon(log.append, "between")
    tasks.append(loop.create_task(body("b")))
    turn(2)
    assert log == ["before", "a", "between", "b", "a2", "b2"]


def test_a_bare_yield_gives_one_iteration(impl, loop, turn):
    @types.coroutine
    def bare():
        got = yield
        return got

    async def body():
        return await bare()

    task = loop.create_task(body())
    turn()
    assert not task.done()
    turn()
    assert task.result() is None


def test_an_awaiting_task_wakes_one_iteration_after_the_end(impl, loop, turn):
    log = []
    future = loop.create_future()

    async def body():
        await future
        log.append("woken")

    task = loop.create_task(body())
    turn()
    future.set_result(None)
    assert log == []
    turn()
    assert log == ["woken"]
    assert task.done()


def test_a_chain_of_tasks_ends_one_iteration_after_another(impl, loop, turn):
    log, tasks = [], {}

    async def link(n):
        if n:
            await tasks[n - 1]
        log.append(n)

    for n in reversed(range(5)):
        tasks[n] = loop.create_task(link(n))
    for n in range(5):
        turn()
        assert log == list(range(n + 1))


def test_coroutine_must_be_one(impl, loop):
    for bad in (nothing, 1, None, [], object()):
        with pytest.raises(TypeError, match="a coroutine was expected, got "):
            impl.Task(bad, loop=loop)
        with pytest.raises(TypeError, match="a coroutine was expected, got "):
            loop.create_task(bad)


def test_a_future_is_not_a_coroutine(impl, loop):
    with pytest.raises(TypeError, match="a coroutine was expected, got <Future pending>"):
        loop.create_task(loop.create_future())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="generators were coroutines up to 3.11")
def test_a_generator_is_not_a_coroutine(impl, loop):
    def generator():
        yield

    with pytest.raises(TypeError, match="a coroutine was expected, got <generator"):
        loop.create_task(generator())


@pytest.mark.not_repeated("asyncio remembers the first hundred types of coroutines")
def test_a_coroutine_like_object_is_accepted(impl, run):
    class Steps(collections.abc.Coroutine):
        def __init__(self):
            self.left = 3

        def send(self, value):
            self.left -= 1
            if self.left == 0:
                raise StopIteration("end")

        def throw(self, *error):
            raise error[0]

        def close(self):
            pass

        def __await__(self):
            return self

    async def main():
        steps = Steps()
        task = impl.create_task(steps)
        assert task.get_coro() is steps
        return await task

    assert run(main()) == "end"


def test_types_coroutine_generators_are_accepted(impl, run):
    @types.coroutine
    def generator():
        yield
        return 5

    async def main():
        return await generator()

    assert run(main()) == 5


def test_create_task_needs_a_running_loop(impl):
    coro = nothing()
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.create_task(coro)
    coro.close()


def test_a_task_without_a_loop_needs_a_running_one(impl, run):
    async def main():
        task = impl.Task(nothing())
        assert task.get_loop() is asyncio.get_running_loop()
        await task

    run(main())


def test_set_result_and_set_exception_are_refused(impl, run):
    async def main():
        task = impl.create_task(nothing())
        with pytest.raises(RuntimeError, match="Task does not support set_result operation"):
            task.set_result(1)
        with pytest.raises(RuntimeError, match="Task does not support set_exception operation"):
            task.set_exception(ValueError())
        await task

    run(main())


def test_yielding_garbage_is_a_runtime_error(impl, run):
    class Garbage:
        def __await__(self):
            yield 42

    async def main():
        with pytest.raises(RuntimeError, match="Task got bad yield: 42"):
            await Garbage()

    run(main())


def test_yielding_a_future_without_yield_from_is_an_error(impl, run):
    class Direct:
        def __init__(self, future):
            self.future = future

        def __await__(self):
            yield self.future

    async def main():
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(RuntimeError, match="yield was used instead of yield from"):
            await Direct(future)

    run(main())


def test_a_generator_yielded_is_an_error(impl, run):
    class Generator:
        def __await__(self):
            yield (x for x in ())

    async def main():
        with pytest.raises(RuntimeError, match="yield was used instead of yield from"):
            await Generator()

    run(main())


def test_awaiting_oneself_is_an_error(impl, run):
    async def main():
        with pytest.raises(RuntimeError, match="Task cannot await on itself"):
            await asyncio.current_task()

    run(main())


def test_a_future_of_another_loop_is_an_error(impl, loop, run):
    foreign = impl.Future(loop=loop)

    async def main():
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await foreign

    run(main())


def test_a_stop_iteration_from_a_coroutine_is_a_runtime_error(impl, run):
    async def main():
        task = impl.create_task(fail(StopIteration(1)))
        with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
            await task

    run(main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_ends_the_task_and_leaves_the_loop(impl, loop, error):
    task = loop.create_task(fail(error("leave")))
    with pytest.raises(error):
        loop.run_until_complete(task)
    assert task.done()
    assert type(task.exception()) is error


def test_an_exception_of_any_base_ends_the_task(impl, run):
    class Odd(BaseException):
        pass

    async def main():
        with pytest.raises(Odd):
            await impl.create_task(fail(Odd()))

    run(main())


def test_generator_exit_ends_the_task(impl, run):
    async def main():
        task = impl.create_task(fail(GeneratorExit()))
        with pytest.raises(GeneratorExit):
            await task
        assert type(task.exception()) is GeneratorExit

    run(main())


def test_deep_awaits_work(impl, run):
    async def deep(n):
        return await deep(n - 1) + 1 if n else await value(0)

    assert run(deep(200)) == 200


def test_too_deep_awaits_are_a_recursion_error(impl, run):
    async def deep():
        await deep()

    async def main():
        task = impl.create_task(deep())
        with pytest.raises(RecursionError):
            await task

    run(main())


def test_a_chain_of_ten_thousand_tasks(impl, run):
    async def link(before):
        return await before + 1 if before else 0

    async def main():
        task = None
        for _ in range(10_000):
            task = impl.create_task(link(task))
        return await task

    assert run(main()) == 9_999
