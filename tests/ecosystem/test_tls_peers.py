"""TLS with programs that know nothing of us: openssl, curl, nginx, http.client."""

import asyncio
import contextlib
import hashlib
import http.client
import os
import select
import shutil
import socket
import subprocess
import time

import pytest
from certificates import client_context, server_context

LOCAL = "127.0.0.1"
BODY = 64 << 20
PATIENCE_SECONDS = 60
VERSIONS = ["1.2", "1.3"]


@pytest.fixture(params=["openssl", "ssl"], autouse=True)
def engine(request, monkeypatch):
    """What encrypts at our end."""
    monkeypatch.setenv("PYAIO_TLS_ENGINE", request.param)
    return request.param


def program(name):
    """The path of a program, or a skipped test."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"there is no {name} here")
    return path


def run(main):
    """Run a coroutine on a loop of ours."""
    import pyaio

    return pyaio.run(main)


def pattern(size):
    """Bytes that are easy to make and not all alike."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def in_thread(function, *arguments, **options):
    """Run what blocks."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: function(*arguments, **options))


async def call(*command, data=b""):
    """Run a program with this as its input; return what it printed, and its status."""
    options = {"input": data, "capture_output": True, "timeout": PATIENCE_SECONDS}
    done = await in_thread(subprocess.run, [*map(str, command)], check=False, **options)
    return done.stdout, done


def free_port():
    """A port that nobody listens at."""
    with socket.create_server((LOCAL, 0)) as sock:
        return sock.getsockname()[1]


async def answer_http(reader, writer):
    """GET /SIZE gives so many bytes, and a POST the digest of what was sent."""
    with contextlib.suppress(ConnectionError):
        while request := await reader.readline():
            method, path, _ = request.split()
            length = 0
            while (line := await reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                if line.lower().startswith(b"expect:"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if method == b"GET":
                body = pattern(int(path[1:]))
            else:
                digest = hashlib.sha256()
                while length > 0:
                    data = await reader.read(min(length, 1 << 18))
                    digest.update(data)
                    length -= len(data)
                body = digest.hexdigest().encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), 1 << 20):
                writer.write(body[start : start + (1 << 20)])
                await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(handle, certificate):
    """A TLS server of ours; gives its port."""
    context = server_context(certificate)
    server = await asyncio.start_server(handle, LOCAL, 0, ssl=context, limit=1 << 20)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def started(port, *command, **options):
    """A server of somebody else's, once it listens at the port."""
    process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, **options)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None
            try:
                socket.create_connection((LOCAL, port)).close()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            else:
                break
        yield process
    finally:
        process.kill()
        process.stdin.close()
        process.wait()


async def connect(port, certificate):
    """A stream of ours to a TLS server."""
    context = client_context(certificate)
    return await asyncio.open_connection(LOCAL, port, ssl=context, server_hostname="localhost")


def s_client(port, certificate, *options):
    """The command of a client that checks whom it talks to."""
    trust = ["-CAfile", certificate.certificate, "-verify_return_error", "-verify_hostname"]
    where = ["-connect", f"{LOCAL}:{port}", "-servername", "localhost"]
    return [program("openssl"), "s_client", *where, *trust, "localhost", *options]


# --- openssl ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client(certificate, version):
    """Everything comes back, and then the end, in pieces of one byte and of a megabyte."""
    data = pattern(1_500_000)

    async def echo(reader, writer):
        for _ in range(100):
            writer.write(await reader.readexactly(1))
        rest = await reader.readexactly(len(data) - 100)
        writer.write(rest)
        writer.close()
        await writer.wait_closed()

    async def main():
        async with serving(echo, certificate) as port:
            command = s_client(port, certificate, version, "-quiet")
            got, done = await call(*command, data=data)
            assert got == data, done.stderr

    run(main())


def test_s_client_updates_keys(certificate):
    """Keys may change at any time, on either side's demand."""

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()
        await writer.wait_closed()

    def talk(command):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with process:
            try:
                # It takes what it reads at once for one command.
                for line, answer in (
                    (b"first\n", b"FIRST\n"),
                    (b"k\n", b"KEYUPDATE\n"),
                    (b"two\n", b"TWO\n"),
                    (b"K\n", b"KEYUPDATE\n"),
                    (b"three\n", b"THREE\n"),
                ):
                    process.stdin.write(line)
                    process.stdin.flush()
                    seen = b""
                    while answer not in seen:
                        assert select.select([process.stdout], [], [], PATIENCE_SECONDS)[0]
                        piece = os.read(process.stdout.fileno(), 65536)
                        assert piece, seen
                        seen += piece
            finally:
                process.kill()
        return True

    async def main():
        async with serving(echo, certificate) as port:
            command = [*map(str, s_client(port, certificate, "-tls1_3"))]
            assert await in_thread(talk, command)

    run(main())


def test_s_client_renegotiates(certificate):
    """Renegotiation is refused, and the server goes on."""

    async def main():
        async with serving(answer_http, certificate) as port:
            command = s_client(port, certificate, "-tls1_2")
            _, done = await call(*command, data=b"R\n")
            assert b"renegotiation" in done.stderr
            reader, writer = await connect(port, certificate)
            writer.write(b"GET /5 HTTP/1.1\r\n\r\n")
            assert (await reader.readline()).endswith(b"200 OK\r\n")
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_server(certificate, version):
    """A server that turns lines around."""
    port = free_port()
    key = ["-cert", certificate.certificate, "-key", certificate.key]
    command = [program("openssl"), "s_server", "-accept", port, *key, version, "-rev", "-quiet"]

    async def main():
        async with started(port, *command, stderr=subprocess.DEVNULL):
            reader, writer = await connect(port, certificate)
            for word in ("a", "abc", "x" * 10_000 + "y"):
                writer.write(word.encode() + b"\n")
                assert await reader.readline() == word[::-1].encode() + b"\n"
            writer.close()
            await writer.wait_closed()

    run(main())


# --- HTTP ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_curl(certificate, tmp_path, version):
    """Bodies of 64 MiB come and go whole."""
    source = tmp_path / "upload"
    source.write_bytes(pattern(BODY))
    digest = hashlib.sha256(source.read_bytes()).hexdigest().encode()

    async def main():
        async with serving(answer_http, certificate) as port:
            url = f"https://localhost:{port}"
            curl = [program("curl"), "-sS", "--cacert", certificate.certificate]
            curl += ["--resolve", f"localhost:{port}:{LOCAL}", "--tls-max", version]
            got, done = await call(*curl, f"{url}/{BODY}")
            assert hashlib.sha256(got).hexdigest().encode() == digest, done.stderr
            got, done = await call(*curl, "--data-binary", f"@{source}", f"{url}/upload")
            assert got == digest, done.stderr

    run(main())


def test_http_client(certificate):
    """The standard library's own client, several requests on one connection."""

    def talk(port):
        context = client_context(certificate)
        connection = http.client.HTTPSConnection("localhost", port, context=context)
        with contextlib.closing(connection):
            for size in (0, 1, 16384, 100_000, BODY):
                connection.request("GET", f"/{size}")
                assert connection.getresponse().read() == pattern(size)
            data = pattern(BODY)
            connection.request("POST", "/", data)
            assert connection.getresponse().read().decode() == hashlib.sha256(data).hexdigest()

    async def main():
        async with serving(answer_http, certificate) as port:
            await in_thread(talk, port)

    run(main())


@pytest.fixture
def nginx(tmp_path, certificate):
    """A function that gives the command of an nginx with this `server` block."""

    def nginx(block):
        path = program("nginx")
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"""
            daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/log;
            events {{ }}
            http {{
                access_log off; client_max_body_size 0;
                client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
                fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u;
                scgi_temp_path {tmp_path}/s;
                ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};
                server {{ {block} }}
            }}
            """
        )
        return [path, "-p", tmp_path, "-c", config, "-e", tmp_path / "log"]

    return nginx


def test_nginx_serves(certificate, tmp_path, nginx):
    """A client of ours fetches a large file, and many small ones at once."""
    port = free_port()
    (tmp_path / "large").write_bytes(pattern(BODY))
    (tmp_path / "small").write_bytes(b"small")
    command = nginx(f"listen {LOCAL}:{port} ssl; root {tmp_path};")

    async def fetch(name):
        reader, writer = await connect(port, certificate)
        writer.write(f"GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer.partition(b"\r\n\r\n")[2]

    async def main():
        async with started(port, *command):
            assert await fetch("large") == pattern(BODY)
            assert await asyncio.gather(*[fetch("small") for _ in range(50)]) == [b"small"] * 50

    run(main())


def test_nginx_asks(certificate, nginx):
    """A proxy in front of a server of ours."""
    port = free_port()

    async def main():
        async with serving(answer_http, certificate) as behind:
            block = f"listen {LOCAL}:{port}; location / {{ proxy_pass https://{LOCAL}:{behind}; }}"
            async with started(port, *nginx(block)):
                reader, writer = await asyncio.open_connection(LOCAL, port)
                request = f"GET /{BODY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                answer = await reader.read()
                assert answer.partition(b"\r\n\r\n")[2] == pattern(BODY)
                writer.close()
                await writer.wait_closed()

    run(main())
