# An sdist is complete if a wheel can be built from it, installed and used: PYTHON WORK-FOLDER.
"$1" -m build --sdist --outdir "$2/dist" .
PYTHON=$1 PYAIO_ENVIRONMENT=$2/from-sdist PYAIO_SOURCE=$(echo "$2"/dist/*.tar.gz) sh scripts/environment.sh
cd "$2"
from-sdist/bin/python -c '
import pyaio
assert type(pyaio.run(pyaio.sleep(0, pyaio))) is type(pyaio)
print(pyaio.__version__, pyaio.__file__)'
