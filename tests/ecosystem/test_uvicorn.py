"""uvicorn as a server under load, by its own --loop option and by `python -m pyaio`."""

import pytest

pytest.importorskip("uvicorn")

APPLICATION = """
import asyncio, pathlib

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/loop":
        body = type(asyncio.get_running_loop()).__module__.encode()
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", length)]})
    half = len(body) // 2
    await send({"type": "http.response.body", "body": body[:half], "more_body": True})
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body[half:]})
"""
# uvicorn on a socket of ours, so that its port is known.
SERVER = """
import pathlib, socket, sys
import uvicorn

sock = socket.create_server(("127.0.0.1", 0))
pathlib.Path("port").write_text(f"{sock.getsockname()[1]}\\n")
config = uvicorn.Config("application:app", loop=sys.argv[1], http="h11", log_level="warning")
try:
    uvicorn.Server(config).run(sockets=[sock])
except KeyboardInterrupt:
    pass
"""
CLIENT = """
import asyncio, os, sys, time

PORT, END = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
count = 0

async def request(reader, writer, path, body):
    head = b"POST %s HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n"
    writer.write(head % (path, len(body)))
    writer.write(body)
    await writer.drain()
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\\r\\n")
                  if line.startswith(b"content-length"))
    return await reader.readexactly(length)

async def worker(size):
    global count
    while time.monotonic() < END:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        assert (await request(reader, writer, b"/loop", b"")).startswith(sys.argv[3].encode())
        for _ in range(20):
            body = os.urandom(size)
            assert await request(reader, writer, b"/echo", body) == body
            count += 1
        writer.close()
        await writer.wait_closed()

async def main():
    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(worker(number * 2000))
    print(count)

asyncio.run(main())
"""
WAYS = {
    "stock": ([], "asyncio", "asyncio"),
    "its own option": ([], "pyaio:new_event_loop", "pyaio"),
    "python -m pyaio": (["-m", "pyaio"], "asyncio", "pyaio"),
}


@pytest.mark.parametrize("way", WAYS)
def test_under_load(server, client, tmp_path, load_seconds, way):
    arguments, loop, module = WAYS[way]
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "client.py").write_text(CLIENT)
    seconds = load_seconds if way == "its own option" else min(load_seconds, 2)
    with server(*arguments, "server.py", loop) as port:
        run_client = [] if way == "stock" else ["-m", "pyaio"]
        assert client(seconds, *run_client, "client.py", port, seconds, module) > 0
