# Sourced by run.sh and test.sh: makes an environment with pyaio in it, in a cache folder.
#
# Takes: PYTHON, the interpreter (python3); PYAIO_EXTRAS, what to install besides, as "[test]";
# PYAIO_ENVIRONMENT, the environment's folder; PYAIO_SOURCE, what to install (the checkout).
# Gives: $root, the checkout; $env, the environment.

root=$(cd "$(dirname "$0")/.." && pwd)
base=${PYTHON:-python3}

fail() {
    echo "$*" >&2
    exit 1
}

# Installs a Debian package if that is ours to do; otherwise says what is missing.
need() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $1"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -qq -y --no-install-recommends "$1" >/dev/null 2>&1 && return
    fi
    fail "$2: install it first (on Debian and Ubuntu: apt-get install $1)"
}

"$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "pyaio needs Python 3.11 or newer; PYTHON names another interpreter than $base"
header=$("$base" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
[ -e "$header" ] || need python3-dev "Python's headers are missing ($header)"
command -v cc >/dev/null || need gcc "there is no C compiler"

tag=$("$base" -c 'import sys, zlib; print(sys.version_info[0], sys.version_info[1],
    "%08x" % zlib.crc32((sys.executable + sys.version).encode()), sep="-")')
env=${PYAIO_ENVIRONMENT:-${XDG_CACHE_HOME:-$HOME/.cache}/pyaio/$tag}
extras=${PYAIO_EXTRAS:-}

# Installs the newest pip where the interpreter lacks what makes its own, with the help of another
# interpreter's, which may be too old to run there itself.
bootstrap_pip() {
    for other in "$base -m pip" pip3 pip; do
        $other --version >/dev/null 2>&1 || continue
        $other --disable-pip-version-check download --quiet --no-deps --dest "$env/pip" pip &&
            "$env/bin/python" "$(echo "$env"/pip/pip-*.whl)/pip" install --quiet pip && return
    done
    return 1
}

make_environment() {
    "$base" -m venv "$env" >/dev/null 2>&1 && return
    rm -rf "$env"
    "$base" -m venv --without-pip "$env" && bootstrap_pip
}

[ -x "$env/bin/python" ] || make_environment || {
    need python3-venv "Python's venv module is incomplete"
    "$base" -m venv "$env" || fail "could not make an environment in $env"
}

stamp=$env/installed$extras
if [ ! -e "$stamp" ] ||
    [ -n "$(find "$root/csrc" "$root/pyaio" "$root/setup.py" "$root/pyproject.toml" -newer "$stamp")" ]; then
    echo "building pyaio for $("$base" --version) in $env"
    touch "$stamp.new"
    PYAIO_BUILD_BASE=$env/build "$env/bin/python" -m pip --disable-pip-version-check install --quiet \
        "${PYAIO_SOURCE:-$root}$extras" || fail "the build failed"
    mv "$stamp.new" "$stamp"
fi
