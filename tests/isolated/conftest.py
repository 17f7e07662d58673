"""Programs that run in an interpreter of their own, on stock asyncio or on pyaio."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

PROLOGUES = {
    "asyncio": "import asyncio as aio",
    "pyaio": "import pyaio as aio",
    "installed": "import pyaio; pyaio.install()\nimport asyncio as aio",
}


@pytest.fixture(params=PROLOGUES)
def program(
    request: pytest.FixtureRequest, python: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs code in which `aio` is the implementation under test."""

    def program(code: str, *arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        code = f"import asyncio, gc, os, sys\n{PROLOGUES[request.param]}\n{code}"
        return python("-X", "faulthandler", "-c", code, *arguments, **options)

    return program
