"""Asynchronous generators: hooks, finalising those that were dropped, shutdown."""

import asyncio
import gc
import sys

import pytest


def make(log, name="generator"):
    """Make a generator that logs how it is closed, with an await in its closing."""

    async def generator():
        try:
            while True:
                yield name
        finally:
            await asyncio.sleep(0)
            log.append(name)

    return generator()


def test_iteration(impl, run):
    async def count(n):
        for number in range(n):
            await impl.sleep(0)
            yield number

    async def main():
        return [number async for number in count(4)]

    assert run(main()) == [0, 1, 2, 3]


def test_a_dropped_generator_is_closed_by_the_loop(impl, run):
    log = []

    async def main():
        async for _ in make(log):
            break
        gc.collect()
        for _ in range(5):
            await impl.sleep(0)
        return list(log)

    assert run(main()) == ["generator"]


def test_shutdown_closes_what_is_open(impl, loop):
    log = []
    generators = [make(log, name) for name in "abc"]

    async def main():
        for generator in generators:
            await anext(generator)

    loop.run_until_complete(main())
    assert log == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert sorted(log) == ["a", "b", "c"]


def test_shutdown_without_generators(loop):
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_asyncgens())


def test_a_generator_begun_after_the_shutdown_warns(loop):
    log = []

    async def main():
        await loop.shutdown_asyncgens()
        generator = make(log)
        with pytest.warns(ResourceWarning, match="was scheduled after loop.shutdown_asyncgens"):
            await anext(generator)
        await generator.aclose()

    loop.run_until_complete(main())
    assert log == ["generator"]


def test_an_error_while_closing_is_reported(loop, reported):
    async def grumble():
        try:
            yield 1
        finally:
            raise ValueError("closing")

    generator = grumble()

    async def main():
        await anext(generator)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    (context,) = reported
    assert str(context["exception"]) == "closing"
    assert context["asyncgen"] is generator
    assert context["message"].startswith("an error occurred during closing of asynchronous")


def test_hooks_are_set_only_while_running(loop):
    async def main():
        return sys.get_asyncgen_hooks()

    before = sys.get_asyncgen_hooks()
    firstiter, finalizer = loop.run_until_complete(main())
    assert callable(firstiter)
    assert callable(finalizer)
    assert sys.get_asyncgen_hooks() == before


def test_the_callers_hooks_are_given_back(loop):
    def firstiter(generator):
        raise AssertionError

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=firstiter)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_asyncgen_hooks().firstiter is firstiter
    finally:
        sys.set_asyncgen_hooks(*before)


def test_generators_of_a_closed_loop_are_dropped_quietly(impl, loop):
    async def generator():
        try:
            yield 1
        finally:
            log.append("finally")

    async def main():
        await anext(box[0])

    log, box = [], [generator()]
    loop.run_until_complete(main())
    loop.close()
    box.clear()
    gc.collect()
    assert log == []


def test_run_shuts_generators_down(impl):
    log = []
    generator = make(log)

    async def main():
        await anext(generator)

    impl.run(main())
    assert log == ["generator"]


def test_many_dropped_generators(impl, run):
    log = []

    async def main():
        for number in range(200):
            async for _ in make(log, number):
                break
        gc.collect()
        for _ in range(10):
            await impl.sleep(0)
        return sorted(log)

    assert run(main()) == list(range(200))


def test_a_generator_dropped_in_another_thread(impl, run):
    import threading

    log = []

    async def main():
        box = [make(log)]
        await anext(box[0])
        thread = threading.Thread(target=box.clear)
        thread.start()
        while not log:
            await impl.sleep(0.001)
        thread.join()
        return log

    assert run(main()) == ["generator"]


def test_asend_and_athrow_of_a_generator(impl, run):
    async def echo():
        got = None
        while True:
            try:
                got = yield got
                await impl.sleep(0)
            except KeyError as error:
                got = error.args

    async def main():
        generator = echo()
        results = [
            await generator.asend(None),
            await generator.asend(1),
            await generator.athrow(KeyError("k")),
            await generator.asend(2),
        ]
        await generator.aclose()
        return results

    assert run(main()) == [None, 1, ("k",), 2]
