#!/bin/sh
# Builds pyaio in an environment of its own and runs the tests; arguments go to pytest.
# CPython's own asyncio tests are part of them where they are installed; otherwise the closing
# summary says so, and names the package that has them. With CI set that is a failure.
PYAIO_EXTRAS="[test]"
. "$(dirname "$0")/environment.sh"
cd "$root" || exit
[ $# -gt 0 ] || set -- tests/unit tests/isolated tests/rules tests/conformance
exec "$env/bin/pytest" -q -rfEs "$@"
