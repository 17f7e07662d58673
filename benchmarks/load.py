"""The programs in C beside the rows: how they are compiled, and how the load is started."""

import os
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent
SIZES = {"64b": 64, "1k": 1024, "32k": 32768, "64k": 65536, "1m": 1 << 20}


def compiled(name: str) -> Path:
    """The program of that name, compiled unless that was done since a source changed."""
    changed = max(path.stat().st_mtime_ns for path in SOURCES.glob("*.[ch]"))
    program = Path(tempfile.gettempdir()) / f"pyaio-{name}-{os.getuid()}-{changed}"
    if not program.exists():
        partial = program.with_suffix(f".{os.getpid()}")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-o", partial, SOURCES / f"{name}.c"], check=True)
        partial.rename(program)
    return program


def other_core() -> int:
    """A core that this process is not pinned to; -1 for any."""
    free = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    return min(free, default=-1)


def start_load(
    orders: int, kind: str, address: int | str, connections: int, *sizes: int
) -> "subprocess.Popen[bytes]":
    """Have the load connect to the server of rows of that kind, and to port `orders`, from which
    it takes its orders. `sizes` are those of a message, and of an answer where it has another."""
    family = kind.partition("_")[0]
    family = family if family in {"unix", "tls", "udp"} else "tcp"
    arguments = [other_core(), orders, family, address, connections, *sizes]
    return subprocess.Popen([compiled("load"), *map(str, arguments)])


def make_certificate(folder: str) -> tuple[str, str]:
    """Have the openssl command make a certificate; return the files of it and of its key."""
    certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
