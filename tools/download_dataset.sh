#!/usr/bin/env bash
# Fetches Habana's sample data set or Keras' VGG16 weights: see --help.
# The work is download_dataset.py's, for which this finds a Python.
set -euo pipefail

tools=$(dirname -- "$0")
for python in "${PYTHON:-}" "${VENV:-$tools/../.venv}/bin/python" python3; do
  # Not only to be found: a version manager's stand-in may lead nowhere.
  if "$python" -IS -c 'import ssl, sys, zlib
sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    # -I keeps modules of the working directory and of PYTHONPATH out.
    exec "$python" -I "$tools/download_dataset.py" "$@"
  fi
done
echo "${0##*/}: error: needs Python 3.9 or later with ssl: install it" >&2
exit 1
