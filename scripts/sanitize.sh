#!/bin/sh
# Builds pyaio with ASan and UBSan in an environment of its own and runs tests on it; arguments go
# to pytest. PYTHON is the interpreter (python3).
#
# Every allocation is malloc's, so that ASan sees each of them. What the interpreter never frees is
# no leak of ours: tests/isolated/test_leaks.py and pytest --leaks look for those.
: "${PYAIO_ENVIRONMENT:=${XDG_CACHE_HOME:-$HOME/.cache}/pyaio/sanitized-$("${PYTHON:-python3}" -c \
    'import sys, zlib; print("%08x" % zlib.crc32((sys.executable + sys.version).encode()))')}"
PYAIO_EXTRAS="[test]"
export PYAIO_SANITIZE=1
. "$(dirname "$0")/environment.sh"
cd "$root" || exit
# Once for each test: neither stock asyncio nor what install() puts there is another build of ours.
[ $# -gt 0 ] || set -- -k "not installed and not asyncio" \
    tests/unit tests/isolated/test_no_memory.py tests/isolated/test_shutdown.py
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
exec "$env/bin/pytest" -q -rfEs "$@"
