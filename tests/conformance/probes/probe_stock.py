"""Mode stock: nothing is replaced."""

import asyncio
import asyncio.unix_events


def probe_stock_loop() -> None:
    """A new loop is the stock one."""
    loop = asyncio.new_event_loop()
    loop.close()
    assert type(loop) is asyncio.unix_events._UnixSelectorEventLoop
    assert asyncio.SelectorEventLoop is asyncio.unix_events._UnixSelectorEventLoop
    assert asyncio.tasks._CTask is asyncio.Task is not asyncio.tasks._PyTask
    assert asyncio.Task.__module__ == "_asyncio"
