"""getaddrinfo and getnameinfo: the answers of the socket module, also where no thread is asked."""

import _socket
import inspect
import itertools
import socket
import threading

import pytest

HOSTS = [
    *(
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "1.2.3.4",
        "10.1",
        "127.1",
        "0x7f.1",
        "017.0.0.1",
    ),
    *(
        "2130706433",
        "1.2.3.4.",
        "256.1.1.1",
        "1.2.3.4.5",
        "1..2",
        "1.2.3.4 ",
        " 1.2.3.4",
        "a.b.c.d",
    ),
    *(
        "::1",
        "::",
        "fe80::1",
        "fe80::1%lo",
        "fe80::1%1",
        "fe80::1%nowhere",
        "::1%lo",
        "::ffff:1.2.3.4",
    ),
    *("2001:DB8::0001", "[::1]", "::g", "1::2::3", ":", "%", "", "::1\0", "127.0.0.1\0.example"),
    *("\uff11\uff12\uff17.0.0.1", "127\u30020.0.1", "\u0661.2.3.4", "face:b00c", "1" * 70),
    *(b"127.0.0.1", b"::1", b"\xff", bytearray(b"127.0.0.1"), 1, 1.5, ("127.0.0.1",)),
]
PORTS = [
    *(0, 80, 65535, 65536, 70000, -1, 2**31, 2**63, 2**64, -(2**63), True, 1.5, None),
    *("80", "0", "", " 80", "80 ", "+80", "-1", "70000", "http", "80\0", "\uff18\uff10", "0x50"),
    *(b"80", b"http", b"", bytearray(b"80"), [80]),
]
FAMILIES = [0, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 99, -1]
TYPES = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, 6, 99]
PROTOCOLS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP, 33, 136, 255]
FLAGS = [
    *(0, socket.AI_PASSIVE, socket.AI_NUMERICHOST, socket.AI_NUMERICSERV, socket.AI_ADDRCONFIG),
    *(socket.AI_V4MAPPED, socket.AI_V4MAPPED | socket.AI_ALL, socket.AI_CANONNAME, 1 << 20),
]
NUMBERS = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def described(infos):
    """With the types of what is in it, which equality does not tell."""
    return [[(type(field), field) for field in (*info[:4], *info[4])] for info in infos]


@pytest.fixture
def compare(loop, outcome):
    """A function that compares one lookup with the socket module's; it needs no network."""

    def compare(host, port, **keywords):
        keywords["flags"] = keywords.get("flags", 0) | socket.AI_NUMERICHOST
        if isinstance(port, str | bytes) and not port.isdigit():
            keywords["flags"] |= socket.AI_NUMERICSERV
        expected = outcome(lambda: described(socket.getaddrinfo(host, port, **keywords)))

        async def lookup():
            return described(await loop.getaddrinfo(host, port, **keywords))

        assert outcome(loop.run_until_complete, lookup()) == expected, (host, port, keywords)

    return compare


@pytest.fixture
def lookup(loop):
    """A function that looks something up in the loop under test."""
    return lambda *arguments, **keywords: loop.run_until_complete(
        loop.getaddrinfo(*arguments, **keywords)
    )


@pytest.fixture
def no_thread(loop, impl):
    """A function that tells that the loop has not started a thread, where it is ours."""

    def no_thread():
        return type(loop).__module__.startswith("asyncio") or loop._default_executor is None

    return no_thread


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_hosts(compare, host):
    for family in (0, socket.AF_INET, socket.AF_INET6):
        compare(host, 80, family=family, type=socket.SOCK_STREAM)
    compare(host, None)


@pytest.mark.parametrize("port", PORTS, ids=repr)
def test_ports(compare, port):
    for host in ("127.0.0.1", "::1"):
        compare(host, port)
        compare(host, port, type=socket.SOCK_DGRAM)


@pytest.mark.parametrize("host", ["127.0.0.1", "fe80::1%lo"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", TYPES)
def test_families_types_and_protocols(compare, host, family, kind):
    for protocol in PROTOCOLS:
        compare(host, 80, family=family, type=kind, proto=protocol)


@pytest.mark.parametrize("flags", FLAGS)
def test_flags(compare, flags):
    for host, family in itertools.product(("127.0.0.1", "::1"), FAMILIES[:3]):
        compare(host, "80", family=family, flags=flags)


@pytest.mark.parametrize(
    "keywords",
    [
        {"family": 2**40},
        {"type": "stream"},
        {"flags": None},
        {"proto": 1.5},
        {"family": True},
        {"x": 1},
    ],
    ids=repr,
)
def test_odd_keywords(loop, outcome, keywords):
    def expected():
        return socket.getaddrinfo("127.0.0.1", 80, **keywords)

    def got():
        return loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80, **keywords))

    kind, *rest = outcome(expected)
    if kind == "returned":
        assert outcome(got) == (kind, *rest)
    else:
        assert outcome(got)[:2] == (kind, rest[0])


def test_without_the_flags_that_forbid_a_lookup(lookup, no_thread):
    assert lookup("127.0.0.1", 80) == socket.getaddrinfo("127.0.0.1", 80)
    assert lookup("::1", None, type=socket.SOCK_STREAM)[0][4] == ("::1", 0, 0, 0)
    assert no_thread()


def test_every_answer_is_a_list_of_its_own(lookup):
    first, second = lookup("127.0.0.1", 80), lookup("127.0.0.1", 80)
    assert first == second
    assert first is not second
    first.clear()
    assert lookup("127.0.0.1", 80) == second


def test_wrong_calls(loop):
    for arguments, keywords in [
        ((), {}),
        (("::1",), {}),
        (("::1", 1, 2), {}),
        (("::1", 1), {"a": 1}),
    ]:
        with pytest.raises(TypeError):
            loop.getaddrinfo(*arguments, **keywords)


def test_host_and_port_by_keyword(loop):
    found = loop.run_until_complete(loop.getaddrinfo(host="127.0.0.1", port=80))
    assert found == socket.getaddrinfo("127.0.0.1", 80)


def test_it_looks_like_stocks(impl, loop, stock):
    method = type(loop).getaddrinfo
    assert inspect.iscoroutinefunction(method)
    assert inspect.signature(method) == inspect.signature(stock.BaseEventLoop.getaddrinfo)
    coroutine = loop.getaddrinfo("127.0.0.1", 80)
    assert impl.iscoroutine(coroutine)
    assert coroutine.__qualname__ == "BaseEventLoop.getaddrinfo"
    assert coroutine.cr_frame is not None
    coroutine.close()
    with pytest.warns(RuntimeWarning, match="getaddrinfo' was never awaited"):
        loop.getaddrinfo("127.0.0.1", 80)


def refuse(*arguments, **keywords):
    raise PermissionError("replaced")


@pytest.mark.parametrize("module", [socket, _socket], ids=["socket", "_socket"])
def test_a_replaced_function_is_called(lookup, monkeypatch, module):
    monkeypatch.setattr(module, "getaddrinfo", refuse)
    with pytest.raises(PermissionError, match="replaced"):
        lookup("127.0.0.1", 80)
    monkeypatch.undo()
    assert lookup("127.0.0.1", 80)


def test_a_replaced_socket_module_is_used(lookup, monkeypatch):
    class Replaced:
        getaddrinfo = staticmethod(refuse)

    monkeypatch.setattr("asyncio.base_events.socket", Replaced)
    with pytest.raises(PermissionError, match="replaced"):
        lookup("127.0.0.1", 80)


def test_a_replaced_run_in_executor_is_called(loop, lookup):
    loop.run_in_executor = refuse
    with pytest.raises(PermissionError, match="replaced"):
        lookup("127.0.0.1", 80)
    del loop.run_in_executor
    assert lookup("127.0.0.1", 80)


def test_a_subclass_that_overrides_run_in_executor(impl, loop):
    class Loop(type(loop)):
        run_in_executor = refuse

    other = Loop()
    with pytest.raises(PermissionError, match="replaced"):
        other.run_until_complete(other.getaddrinfo("127.0.0.1", 80))
    other.close()


def test_after_the_executor_was_shut_down(loop, lookup):
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        lookup("127.0.0.1", 80)


def test_debug_mode_logs_it(loop, lookup, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        lookup("127.0.0.1", 80)
    assert any("Get address info 127.0.0.1:80" in r.getMessage() for r in caplog.records)


def test_a_name_is_looked_up_in_a_thread(loop, lookup, monkeypatch):
    threads = []

    def note(*arguments, **keywords):
        threads.append(threading.current_thread())
        return []

    monkeypatch.setattr(_socket, "getaddrinfo", note)
    assert lookup("localhost", 80) == []
    assert threads[0] is not threading.current_thread()


def test_the_audit_event(python):
    program = """
import asyncio, sys
import {module}
log = []
sys.addaudithook(lambda name, args: name == "socket.getaddrinfo" and log.append(args))
async def main():
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80, type=1)
    await asyncio.get_running_loop().getaddrinfo(b"::1", "80")
{module}.run(main())
print(log)
"""
    results = {python("-c", program.format(module=name)).stdout for name in ("asyncio", "pyaio")}
    assert results == {"[('127.0.0.1', 80, 0, 1, 0), (b'::1', '80', 0, 0, 0)]\n"}


@pytest.mark.parametrize(
    "address",
    [
        *(("127.0.0.1", 80), ("::1", 80), ("fe80::1", 80, 0, 1), ("127.0.0.1", 70000)),
        *(("256.0.0.1", 80), ("127.0.0.1",), "127.0.0.1", None, ("127.0.0.1", "80"), ()),
    ],
    ids=repr,
)
@pytest.mark.parametrize("flags", [NUMBERS, NUMBERS | socket.NI_DGRAM])
def test_getnameinfo(loop, outcome, no_thread, address, flags):
    expected = outcome(socket.getnameinfo, address, flags)
    assert outcome(lambda: loop.run_until_complete(loop.getnameinfo(address, flags))) == expected
    by_name = loop.getnameinfo(address, flags=flags)
    assert outcome(loop.run_until_complete, by_name) == expected
    assert no_thread()


def test_getnameinfo_of_names_asks_a_thread(loop, monkeypatch):
    threads = []

    def note(address, flags):
        threads.append(threading.current_thread())
        return "name", "service"

    monkeypatch.setattr(socket, "getnameinfo", note)
    for flags in ({}, {"flags": socket.NI_NUMERICHOST}, {"flags": NUMBERS}):
        answer = loop.run_until_complete(loop.getnameinfo(("127.0.0.1", 80), **flags))
        assert answer == ("name", "service")
    assert threading.current_thread() not in threads


def test_getnameinfo_wrong_calls(loop):
    for arguments, keywords in [
        ((), {}),
        ((1, 2, 3), {}),
        ((1, 2), {"flags": 1}),
        ((1,), {"x": 1}),
    ]:
        with pytest.raises(TypeError):
            loop.getnameinfo(*arguments, **keywords)


def test_reference_counts_are_flat(loop, stays_flat):
    if type(loop).__module__.startswith("asyncio"):
        pytest.skip("asyncio looks names up in threads, whose references come and go")

    async def once():
        await loop.getaddrinfo("127.0.0.1", 80)
        await loop.getaddrinfo(b"::1", None, type=socket.SOCK_STREAM)
        await loop.getnameinfo(("127.0.0.1", 80), NUMBERS)

    stays_flat(once)
