"""Every network call of a loop, cancelled at every turn and with every system call failing.

faults.c, preloaded, makes the calls fail, and has a thread recycle descriptors meanwhile.
"""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = runpy.run_path(str(HERE / "network_calls.py"))["ROWS"]


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The compiled shim."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, HERE / "faults.c"]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return library


@pytest.mark.parametrize("row", ROWS)
def test_faults(python, shim, row):
    """No leak, no double close, nothing done to a descriptor of others, no hang."""
    program = HERE / "faults_program.py"
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    done = python(program, "pyaio", row, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 5
