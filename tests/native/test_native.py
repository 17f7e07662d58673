"""csrc/ds and csrc/poll, which know nothing of Python, in C programs under ASan and UBSan.

Each program makes random operations, compares the outcome with a simple model of its own, and lets
allocations fail in between.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CSRC = HERE.parents[1] / "csrc"
# The sources that each program needs, and how many operations it makes with each seed.
PROGRAMS = {
    "ring": (["ds/ring.c"], 200_000),
    "heap": (["ds/heap.c"], 50_000),
    "list": ([], 20_000),
    "poller": (["poll/epoll.c"], 40_000),
    "wakeup": (["poll/epoll.c", "poll/wakeup_eventfd.c"], 20_000),
}
SEEDS = 5
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wcast-qual", "-Wvla", "-Werror"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
WRAP = [f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "realloc")]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A function that compiles a program, once, and returns its path."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    assert shutil.which(compiler[0]), "a C compiler is needed"
    folder = tmp_path_factory.mktemp("native")

    def compiled(name):
        program = folder / name
        if not program.exists():
            sources = [HERE / f"{name}.c", *(CSRC / source for source in PROGRAMS[name][0])]
            command = [*compiler, "-std=c11", "-g", "-O1", "-D_GNU_SOURCE", *WARNINGS, *SANITIZE]
            command += [*WRAP, "-pthread", f"-I{CSRC}", f"-I{HERE}", "-o", program, *sources]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return program

    return compiled


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", PROGRAMS)
def test_random_operations(compiled, name, seed):
    command = [compiled(name), str(seed), str(PROGRAMS[name][1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_every_source_has_a_program():
    """Whatever is added to these folders needs a test here."""
    elsewhere = {"poll/simulated.c"}  # tests/differential stands on it
    sources = {
        str(path.relative_to(CSRC))
        for layer in ("ds", "poll")
        for path in CSRC.glob(f"{layer}/*.c")
    }
    assert sources - elsewhere == {source for needed, _ in PROGRAMS.values() for source in needed}
