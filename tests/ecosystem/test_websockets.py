"""websockets, server and client, in the clear and over TLS: messages of all sizes, closing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("websockets")

PROGRAM = """
import asyncio, ssl, sys
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError

async def echo(connection):
    async for message in connection:
        if message == "go away":
            return await connection.close(4000, "as you wish")
        elif message == "fail":
            connection.transport.abort()
            return
        else:
            await connection.send(message)

async def talk(url, context, number):
    async with connect(url, ssl=context, max_size=None, compression=None) as connection:
        for size in (0, 1, 125, 126, 65535, 65536, 300_000):
            message = bytes([number]) * size
            await connection.send(message)
            assert await connection.recv() == message
        for word in ("one", "two", "three"):
            await connection.send(word)
        assert [await connection.recv() for _ in range(3)] == ["one", "two", "three"]
        assert await (await connection.ping()) >= 0

async def main():
    server_context = client_context = None
    if len(sys.argv) > 1:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(sys.argv[1], sys.argv[2])
        client_context = ssl.create_default_context(cafile=sys.argv[1])
    options = {"max_size": None, "compression": None, "ssl": server_context}
    async with serve(echo, "localhost", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws{'s' if server_context else ''}://localhost:{port}"
        await asyncio.gather(*[talk(url, client_context, number) for number in range(20)])
        async with connect(url, ssl=client_context) as connection:
            await connection.send("go away")
            try:
                await connection.recv()
            except ConnectionClosedError as error:
                assert (error.rcvd.code, error.rcvd.reason) == (4000, "as you wish")
        async with connect(url, ssl=client_context) as connection:
            await connection.send("fail")
            try:
                await connection.recv()
            except ConnectionClosedError as error:
                assert error.rcvd is None
"""


def test_in_the_clear(program: Callable[..., None]) -> None:
    program(PROGRAM)


def test_over_tls(program: Callable[..., None], tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    program(PROGRAM, certificate, key)
