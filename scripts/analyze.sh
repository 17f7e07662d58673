#!/bin/sh
# Static analysis of the C sources: gcc's analyzer, clang-tidy and cppcheck, each finding an error.
#
#   scripts/analyze.sh             in an environment of its own, with the versions pyproject.toml pins
#   scripts/analyze.sh FOLDER      with the tools and the python of this folder, such as env/bin
#
# PYTHON is the interpreter whose headers are used (python3); JOBS, how many files at once (2).
if [ $# -gt 0 ]; then
    bin=$1
    root=$(cd "$(dirname "$0")/.." && pwd)
else
    PYAIO_EXTRAS="[dev]"
    . "$(dirname "$0")/environment.sh"
    bin=$env/bin
fi
cd "$root" || exit
bin=$(cd "$bin" && pwd) || exit
headers=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
version=$("$bin/python" -c 'import sys; print(hex(sys.hexversion))')
jobs=${JOBS:-2}
status=0

# Runs "$@ FILES" for a few C files at a time, with -- for what follows the files.
on_files() {
    title=$1
    shift
    echo "$title"
    git ls-files -z 'csrc/*.c' | xargs -0 -P "$jobs" -n "$files_at_once" "$@" || status=1
}

flags="-std=c11 -D_GNU_SOURCE=1 -Icsrc -isystem $headers"

files_at_once=1
# shellcheck disable=SC2086
on_files "gcc -fanalyzer" "${CC:-gcc}" $flags -O1 -fanalyzer -Wall -Wextra -Werror -c -o /dev/null

files_at_once=8
on_files "clang-tidy" sh -c '"$0" --quiet "$@" -- '"$flags" "$bin/clang-tidy"

# varFuncNullUB: that the C API's variadic functions end with NULL is how they are documented.
echo "cppcheck"
"$bin/cppcheck" --quiet --std=c11 --library=python --enable=warning,portability,performance \
    --inline-suppr --suppress=varFuncNullUB --error-exitcode=1 -j "$jobs" \
    -D_GNU_SOURCE "-DPY_VERSION_HEX=$version" -Icsrc csrc || status=1
exit $status
