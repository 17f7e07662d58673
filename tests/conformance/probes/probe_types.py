"""Mode types: a stock loop makes and runs the implementation's futures and tasks."""

import _asyncio
import asyncio
import asyncio.unix_events


def probe_names() -> None:
    """The suite's names for the C types mean the implementation's."""
    assert asyncio.Task is asyncio.tasks.Task is asyncio.tasks._CTask
    assert asyncio.Future is asyncio.futures.Future is asyncio.futures._CFuture
    assert asyncio.Task is not _asyncio.Task
    assert asyncio.Future is not _asyncio.Future
    for name in ("Task", "Future", "TaskGroup", "gather", "sleep"):
        assert not getattr(asyncio, name).__module__.startswith(("asyncio", "_asyncio")), name


def probe_live_objects() -> None:
    """What a stock loop makes, and what runs on it, is of the implementation's types."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert type(loop) is asyncio.unix_events._UnixSelectorEventLoop
        assert type(loop.create_future()) is asyncio.Future
        assert type(asyncio.current_task()) is asyncio.Task
        assert type(asyncio.ensure_future(asyncio.sleep(0))) is asyncio.Task
        assert type(asyncio.create_task(asyncio.sleep(0))) is asyncio.Task
        assert isinstance(asyncio.gather(asyncio.sleep(0)), asyncio.Future)
        async with asyncio.TaskGroup() as group:
            assert type(group.create_task(asyncio.sleep(0))) is asyncio.Task

    asyncio.run(main())


def probe_pure_python_stays() -> None:
    """Stock's Python versions, which the suite tests as well, are untouched."""
    assert asyncio.tasks._PyTask.__module__ == "asyncio.tasks"
    assert asyncio.futures._PyFuture.__module__ == "asyncio.futures"
