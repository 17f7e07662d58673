"""redis-py against a real Redis: pipelines, blocking calls that are cancelled, subscriptions."""

from collections.abc import Callable

import pytest

pytest.importorskip("redis")

HEAD = """
import asyncio, sys
import redis.asyncio
from redis.asyncio import Redis

def client(**options):
    return Redis(unix_socket_path=sys.argv[1] + "/socket", **options)
"""
VALUES = """
async def main():
    async with client() as redis:
        for size in (0, 1, 1023, 65536, 1 << 20, 5 << 20):
            value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            await redis.set("value", value)
            assert await redis.get("value") == value
        await redis.delete("value")
"""
MANY_CLIENTS = """
async def count(redis, name):
    for _ in range(100):
        await redis.incr(name)
    async with redis.pipeline(transaction=True) as pipe:
        for _ in range(100):
            pipe.incr(name)
        results = await pipe.execute()
    assert len(results) == 100

async def main():
    async with client(max_connections=30) as redis:
        await redis.delete("one", "two")
        async with asyncio.TaskGroup() as tg:
            for number in range(20):
                tg.create_task(count(redis, "one" if number % 2 else "two"))
        assert await redis.mget("one", "two") == [b"2000", b"2000"]
"""
BLOCKING = """
async def main():
    async with client() as redis:
        await redis.delete("list")
        for _ in range(20):
            try:
                async with asyncio.timeout(0.01):
                    await redis.blpop("list")
            except TimeoutError:
                pass
            else:
                raise AssertionError("nothing was there")
        waiter = asyncio.create_task(redis.blpop("list"))
        await asyncio.sleep(0.01)
        await redis.rpush("list", "first", "second")
        assert await waiter == (b"list", b"first")
        assert await redis.lpop("list") == b"second"
"""
SUBSCRIPTIONS = """
async def listen(redis, ready, count):
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe("news")
        received = []
        async for message in pubsub.listen():
            if message["type"] == "subscribe":
                ready.release()
            else:
                received.append(int(message["data"]))
            if len(received) == count:
                return received

async def main():
    async with client() as redis:
        ready = asyncio.Semaphore(0)
        listeners = [asyncio.create_task(listen(redis, ready, 500)) for _ in range(10)]
        for _ in listeners:
            await ready.acquire()
        for number in range(500):
            assert await redis.publish("news", number) == 10
        assert await asyncio.gather(*listeners) == [list(range(500))] * 10
"""


@pytest.fixture(scope="module")
def folder(service: Callable[..., str]) -> str:
    """The folder of a Redis server, with its socket."""
    return service(
        command="redis-server --port 0 --unixsocket {folder}/socket --save '' --daemonize no",
        ready="socket",
        user="redis",
    )


@pytest.mark.parametrize("text", [VALUES, MANY_CLIENTS, BLOCKING, SUBSCRIPTIONS])
def test_redis(folder: str, program: Callable[..., None], text: str) -> None:
    program(HEAD + text, folder)
