#!/bin/sh
# Builds pyaio in an environment of its own and runs the example on it.
. "$(dirname "$0")/environment.sh"
cd "$root/examples" || exit # away from the source folder, which has no extension
exec "$env/bin/python" -m pyaio four_ways.py
