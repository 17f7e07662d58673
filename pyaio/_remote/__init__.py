"""The tasks of another process, read from its memory: `python -m pyaio ps` and `pstree`.

From Python 3.14 on asyncio has such a tool, which shows native tasks too; this is for the versions
before. It asks nothing of the process and stops nothing in it: it works while that is blocked
or busy. It needs to run on the same interpreter and build of pyaio, and the permission to read
the process' memory (the one that a debugger needs).
"""
