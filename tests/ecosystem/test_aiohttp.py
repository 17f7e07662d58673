"""aiohttp's server and client under load: requests, uploads, streams and web sockets."""

import pytest

pytest.importorskip("aiohttp")

SERVER = """
import asyncio, pathlib, sys
from aiohttp import web

async def hello(request):
    return web.Response(text="hello " + request.match_info["name"])

async def echo(request):
    return web.Response(body=await request.read())

async def stream(request):
    response = web.StreamResponse()
    try:
        await response.prepare(request)
        for number in range(20):
            await response.write(b"%04d" % number * 1000)
            if number % 5 == 0:
                await asyncio.sleep(0)
        await response.write_eof()
    except ConnectionResetError:  # the client gave up, as some here do
        pass
    return response

async def socket(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data[::-1])
    return ws

async def main():
    app = web.Application()
    app.add_routes([
        web.get("/hello/{name}", hello), web.post("/echo", echo),
        web.get("/stream", stream), web.get("/socket", socket),
    ])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pathlib.Path("port").write_text(f"{runner.addresses[0][1]}\\n")
    assert type(asyncio.get_running_loop()).__module__.split(".")[0] == sys.argv[1]
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""
CLIENT = """
import asyncio, os, sys, time
import aiohttp

BASE = f"http://127.0.0.1:{sys.argv[1]}"
END = time.monotonic() + float(sys.argv[2])
STREAM = b"".join(b"%04d" % number * 1000 for number in range(20))
count = 0

async def get(session, url):
    async with session.get(BASE + url) as response:
        assert response.status == 200
        return await response.read()

async def worker(session, name):
    global count
    while time.monotonic() < END:
        assert await get(session, f"/hello/{name}") == f"hello {name}".encode()
        data = os.urandom(name * 3000)
        async with session.post(BASE + "/echo", data=data) as response:
            assert await response.read() == data
        assert await get(session, "/stream") == STREAM
        try:
            await asyncio.wait_for(get(session, "/stream"), 0.002)
        except TimeoutError:
            pass
        async with session.ws_connect(BASE + "/socket") as ws:
            for _ in range(5):
                await ws.send_str("abc")
                assert await ws.receive_str() == "cba"
        count += 5

async def main():
    assert type(asyncio.get_running_loop()).__module__.split(".")[0] == sys.argv[3]
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for name in range(30):
            group.create_task(worker(session, name))
    print(count)

asyncio.run(main())
"""


@pytest.mark.parametrize("who", ["asyncio", "pyaio"])
def test_server_and_client_under_load(server, client, tmp_path, load_seconds, who):
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "client.py").write_text(CLIENT)
    way = [] if who == "asyncio" else ["-m", "pyaio"]
    seconds = min(load_seconds, 2) if who == "asyncio" else load_seconds
    with server(*way, "server.py", who) as port:
        assert client(seconds, *way, "client.py", port, seconds, who) > 0


APPLICATION = """
import asyncio, pathlib, pyaio
from aiohttp import web

async def hello(request):
    return web.Response(text=type(asyncio.get_running_loop()).__module__)

async def note(app):
    pathlib.Path("port").write_text(f"{sock.getsockname()[1]}\\n")

import socket
sock = socket.create_server(("127.0.0.1", 0))
app = web.Application()
app.add_routes([web.get("/", hello)])
app.on_startup.append(note)
web.run_app(app, sock=sock, loop=pyaio.new_event_loop(), print=None)
"""


def test_run_app_takes_our_loop(server, tmp_path):
    import urllib.request

    (tmp_path / "application.py").write_text(APPLICATION)
    with (
        server("application.py") as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/") as response,
    ):
        assert response.read().split(b".")[0] == b"pyaio"
