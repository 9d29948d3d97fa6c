#!/usr/bin/env bash
# Opens the report of a run in Chromium, with a driver from PyPI, and looks for
# faults of accessibility, with axe-core from npm. What is not there is
# installed: Chromium and npm from Debian's packages, by root alone.
# Arguments are passed on to pytest.
#
# Where that cannot be had the tests are left out, which is said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}

leave_out() {
  echo "LEFT OUT: the tests in a browser, for want of $*"
  exit 0
}

# Whether there is the command $1, if need be from Debian's package of that name.
have() {
  command -v "$1" >/dev/null && return
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then return 1; fi
  echo "browser: installing Debian's package $1"
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes \
      --no-install-recommends "$1"; } >/dev/null 2>&1 || return 1
  command -v "$1" >/dev/null
}

tools/setup_env.sh dev
have chromium || leave_out "Chromium: install the package chromium"
have npm || leave_out "npm, which brings axe-core: install the package npm"
(cd tests/browser/node && npm ci --ignore-scripts --no-audit --no-fund \
  --loglevel=error) || leave_out "axe-core, which npm does not bring"
tools/setup_env.sh browser
"$VENV/bin/python" -m pytest -m browser "$@"
