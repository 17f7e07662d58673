"""python -m pyaio: a program run as python would, made native (--help says what else)."""

from pyaio._program import main

if __name__ == "__main__":
    main()
