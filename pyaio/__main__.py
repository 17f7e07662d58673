"""python -m pyaio app.py ARGS, or -m module ARGS: run a program as python would, made native."""

from pyaio._program import main

if __name__ == "__main__":
    main()
