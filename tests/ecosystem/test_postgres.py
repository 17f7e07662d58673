"""asyncpg against a real PostgreSQL: pools, cancelled queries, COPY, notifications, TLS."""

import socket
from collections.abc import Callable

import pytest

pytest.importorskip("asyncpg")

HEAD = """
import asyncio, io, ssl, sys
import asyncpg

OPTIONS = {"host": sys.argv[1], "port": int(sys.argv[2])}
OPTIONS |= {"user": "postgres", "database": "postgres"}
"""
POOL = """
async def work(pool, number):
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO numbers VALUES ($1)", number)
        return await connection.fetchval("SELECT sum(n) FROM generate_series(1, $1) AS n", number)

async def main():
    async with asyncpg.create_pool(min_size=5, max_size=5, **OPTIONS) as pool:
        await pool.execute("DROP TABLE IF EXISTS numbers")
        await pool.execute("CREATE TABLE numbers (n int)")
        sums = await asyncio.gather(*[work(pool, number) for number in range(1, 201)])
        assert sums == [n * (n + 1) // 2 for n in range(1, 201)]
        assert await pool.fetchval("SELECT count(*) FROM numbers") == 200
"""
CANCELLED = """
async def main():
    connection = await asyncpg.connect(**OPTIONS)
    for _ in range(10):
        try:
            async with asyncio.timeout(0.02):
                await connection.fetch("SELECT pg_sleep(60)")
        except TimeoutError:
            pass
        else:
            raise AssertionError("it slept too short")
        assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
"""
COPY = """
async def main():
    connection = await asyncpg.connect(**OPTIONS)
    await connection.execute("CREATE TEMPORARY TABLE rows (number int, text text)")
    rows = [(number, "x" * (number % 5000)) for number in range(5000)]
    await connection.copy_records_to_table("rows", records=rows)
    output = io.BytesIO()
    await connection.copy_from_query("SELECT * FROM rows ORDER BY number", output=output)
    lines = output.getvalue().decode().splitlines()
    assert [(int(n), text) for n, text in (line.split("\\t") for line in lines)] == rows
    await connection.close()
"""
NOTIFICATIONS = """
async def main():
    sender, receiver = [await asyncpg.connect(**OPTIONS) for _ in range(2)]
    queue = asyncio.Queue()
    await receiver.add_listener("news", lambda *arguments: queue.put_nowait(int(arguments[3])))
    for number in range(300):
        await sender.execute(f"NOTIFY news, '{number}'")
    assert [await queue.get() for _ in range(300)] == list(range(300))
    for connection in (sender, receiver):
        await connection.close()
"""
ENCRYPTED = """
async def main():
    context = ssl.create_default_context(cafile=sys.argv[1] + "/server.crt")
    options = {**OPTIONS, "host": "localhost", "ssl": context}
    connections = await asyncio.gather(*[asyncpg.connect(**options) for _ in range(5)])
    for size in (1, 20_000, 3_000_000):
        texts = await asyncio.gather(
            *[each.fetchval("SELECT repeat('x', $1)", size) for each in connections]
        )
        assert texts == ["x" * size] * 5
    used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert all([await each.fetchval(used) for each in connections])
    for each in connections:
        await each.close()
"""


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


PORT = free_port()


@pytest.fixture(scope="module")
def folder(service: Callable[..., str]) -> str:
    """The folder of a PostgreSQL server, with its socket and its certificate."""
    return service(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        " -addext subjectAltName=DNS:localhost"
        " -keyout {folder}/server.key -out {folder}/server.crt",
        "initdb -D {folder}/data -A trust -U postgres --no-sync",
        command=f"postgres -D {{folder}}/data -k {{folder}} -p {PORT} -h 127.0.0.1 -F"
        " --ssl=on --ssl_cert_file={folder}/server.crt --ssl_key_file={folder}/server.key",
        ready=f".s.PGSQL.{PORT}",
        user="postgres",
    )


@pytest.mark.parametrize("text", [POOL, CANCELLED, COPY, NOTIFICATIONS, ENCRYPTED])
def test_postgres(folder: str, program: Callable[..., None], text: str) -> None:
    program(HEAD + text, folder, PORT)
