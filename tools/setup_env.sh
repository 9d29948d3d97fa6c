#!/usr/bin/env bash
# Brings .venv up to date; does nothing when it already is.
#
#   tools/setup_env.sh cpu       what training on CPU or GPU needs; also "run"
#   tools/setup_env.sh gpu       and the CUDA libraries
#   tools/setup_env.sh hpu       what a Gaudi needs (Python 3.10); in an
#                                environment of its own
#   tools/setup_env.sh dev       and tests, lint, coverage
#   tools/setup_env.sh horovod   and Horovod, built here with Gloo
#   tools/setup_env.sh mpi       and Horovod, built here with Gloo and MPI; in an
#                                environment of its own
#   tools/setup_env.sh habana    what a Gaudi needs, and pytest; likewise
#   tools/setup_env.sh bench     and what the benchmarks compare with
#   tools/setup_env.sh export    and what ONNX files are made with
#   tools/setup_env.sh browser   and what drives a browser
#   tools/setup_env.sh loggers   and W&B and MLflow
#   tools/setup_env.sh notebook  and what runs notebooks
#   tools/setup_env.sh fuzz      and the fuzzer
#   tools/setup_env.sh docs      what the documentation site is built with; in an
#                                environment of its own
#   tools/setup_env.sh beam      the converter and Apache Beam; likewise
#   tools/setup_env.sh beam-test and what its tests need
#   tools/setup_env.sh audit     what looks for known vulnerabilities; in an
#                                environment of its own
#   tools/setup_env.sh lock      makes requirements/*.lock from the .txt files
#
# What is installed is in requirements/*.lock: every package with the hashes of
# its files, so that nothing but these is taken.
#
# VENV=.venv       where to install
# PYTHON=python3   which Python 3.10 or 3.11 to take; by default the first of
#                  python3.11, python3.10, python3 that is one, else uv gets
#                  Python 3.11
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1

# What Horovod is built with: TensorFlow alone, between processes Gloo, and MPI
# where that is asked for.
HOROVOD_OPTIONS=(
  HOROVOD_WITH_GLOO=1 HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1
  HOROVOD_WITHOUT_MXNET=1
)
GLOO_OPTIONS=(HOROVOD_WITHOUT_MPI=1 HOROVOD_CPU_OPERATIONS=GLOO)
MPI_OPTIONS=(HOROVOD_WITH_MPI=1)

# Exit status where Horovod cannot be built for want of a compiler.
NO_COMPILER=3
REMEDY="remove $VENV, or choose another place with VENV=.venv-other"

die() {
  echo "setup: $*" >&2
  exit 1
}

say() { echo "setup: $*"; }

# Whether $1 runs (version managers leave commands that do not), is Python
# 3.10 or 3.11 and can make virtual environments.
is_usable_python() {
  "$1" -c '
import ensurepip, sys, venv
sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))
' >/dev/null 2>&1
}

python_version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# Prints a command that runs uv: the one on PATH, else one installed beside
# the environment by whatever Python there is.
find_uv() {
  local home="$VENV-uv" python
  if uv --version >/dev/null 2>&1; then
    echo uv
    return
  fi
  for python in python3 python3.{14,13,12,11,10,9,8}; do
    [[ -x $home/bin/uv ]] && break
    rm -rf "$home"
    "$python" -m pip install --quiet --target "$home" \
      --require-hashes -r requirements/uv.lock >/dev/null 2>&1 && break
    rm -rf "$home"
    "$python" -m venv "$home" >/dev/null 2>&1 &&
      "$home/bin/python" -m pip install --quiet \
        --require-hashes -r requirements/uv.lock >/dev/null 2>&1
  done
  "$home/bin/uv" --version >/dev/null 2>&1 && echo "$home/bin/uv"
}

# Prints the path of a usable Python, getting 3.11 with uv if there is none.
find_python() {
  local candidate uv
  if [[ -n ${PYTHON:-} ]]; then
    is_usable_python "$PYTHON" || die "PYTHON=$PYTHON is not a Python 3.10" \
      "or 3.11 with the modules venv and ensurepip; name another one"
    command -v "$PYTHON"
    return
  fi
  # Every one on PATH: the first may be a shim that does not run.
  while IFS= read -r candidate; do
    if is_usable_python "$candidate"; then
      echo "$candidate"
      return
    fi
  done < <(type -ap python3.11 python3.10 python3)
  say "no Python 3.10 or 3.11 with venv found; getting 3.11 with uv" >&2
  uv=$(find_uv) || die "no Python 3.10 or 3.11 with the modules venv and" \
    "ensurepip, and no uv to get one: install python3.11 and" \
    "python3.11-venv, or uv, or name a Python with PYTHON=..."
  export UV_PYTHON_PREFERENCE=only-managed
  "$uv" python install 3.11 >&2 &&
    candidate=$("$uv" python find 3.11) && is_usable_python "$candidate" ||
    die "$uv could not get Python 3.11 (its message is above): install" \
      "python3.11 and python3.11-venv, or name a Python with PYTHON=..."
  echo "$candidate"
}

# Makes $VENV, unless it is there and sound.
create_venv() {
  local python version
  version=$(python_version "$VENV/bin/python" || true)
  if [[ -n ${PYTHON:-} && -n $version &&
    $(python_version "$PYTHON" || true) != "$version" ]]; then
    die "$VENV has Python $version, which PYTHON=$PYTHON is not: $REMEDY"
  fi
  case $version in
    3.10 | 3.11)
      "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
      # Some tools make environments without pip.
      "$VENV/bin/python" -m ensurepip >/dev/null 2>&1 && return
      ;;
    ?*) die "$VENV has Python $version, and 3.10 or 3.11 is needed: $REMEDY" ;;
  esac
  if [[ -e $VENV && ! -e $VENV/pyvenv.cfg ]]; then
    die "$VENV is not a virtual environment: $REMEDY"
  fi
  python=$(find_python)
  say "creating $VENV with Python $(python_version "$python") ($python)"
  "$python" -m venv --clear "$VENV" ||
    die "$python could not create $VENV (its message is above)"
}

# A fingerprint of the lock files $@ and the Python under $VENV.
fingerprint() {
  { "$VENV/bin/python" -VV && cat "$@"; } | sha256sum | cut -d' ' -f1
}

# Whether $VENV/$1.stamp says that the lock files $2... are installed.
is_installed() {
  [[ $(cat "$VENV/$1.stamp" 2>/dev/null) == "$(fingerprint "${@:2}")" ]]
}

# Installs what requirements/$1.lock lists: wheels alone, for building a source
# package would run code of it and of what it is built with.
install_locked() {
  local lock="requirements/$1.lock"
  is_installed "$1" "$lock" && return
  local started=$SECONDS
  say "installing $lock into $VENV (some minutes the first time)"
  "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes \
    --only-binary=:all: -r "$lock" ||
    die "pip could not install $lock (its message is above)"
  fingerprint "$lock" >"$VENV/$1.stamp"
  say "installed $lock in $((SECONDS - started)) s"
}

# Makes requirements/*.lock anew: the packages of each .txt file, all pinned
# there, with the hashes of their files for Python 3.10 and 3.11. What Gaudi's
# packages need is found by uv, for the one Python that they are for.
lock_requirements() {
  local uv source name options
  uv=$(find_uv) || die "no uv, which finds the hashes: install uv"
  for source in requirements.txt requirements/*.txt; do
    name=$(basename "$source" .txt)
    options=(--universal --no-deps)
    case $name in
      requirements) name=run ;;
      hpu | hpu-test) options=(--python-platform x86_64-manylinux_2_28) ;;
    esac
    echo "# Made by \`make lock\` from $source." >"requirements/$name.lock.tmp"
    "$uv" pip compile --quiet --python-version 3.10 --generate-hashes \
      --no-header --no-annotate --no-emit-index-url "${options[@]}" \
      "$source" >>"requirements/$name.lock.tmp" ||
      die "uv could not lock $source (its message is above)"
    mv "requirements/$name.lock.tmp" "requirements/$name.lock"
    say "made requirements/$name.lock"
  done
}

# Says each half minute, until killed, how far the build with log $1 is.
watch_build() {
  local since=$SECONDS percent
  # Not the output of this script: whoever reads that would wait for it.
  while sleep 30 >/dev/null 2>&1; do
    percent=$(grep -oE '\[ *[0-9]+%\]' "$1" | tail -n 1 | tr -dc 0-9 || true)
    say "built ${percent:-0} % after $((SECONDS - since)) s"
  done
}

# Builds Horovod with Gloo; with the argument `mpi` with MPI, too.
install_horovod() {
  local stamp=horovod needed=Gloo report options=("${GLOO_OPTIONS[@]}")
  if [[ ${1:-} == mpi ]]; then
    stamp=horovod-mpi needed=MPI options=("${MPI_OPTIONS[@]}")
  fi
  local files=(requirements/horovod.lock requirements/run.lock
    tools/horovod_addresses.py tools/patch_horovod.py)
  is_installed "$stamp" "${files[@]}" && return
  local started=$SECONDS compiler=${CXX:-g++} log="$VENV/horovod.log"
  if ! command -v "$compiler" >/dev/null; then
    say "Horovod needs a C++ compiler, and $compiler is not there:" \
      "install g++" >&2
    exit "$NO_COMPILER"
  fi
  if [[ $needed == MPI ]] && ! command -v mpicxx >/dev/null; then
    die "Horovod with MPI needs mpicxx, and it is not there: install" \
      "openmpi-bin and libopenmpi-dev"
  fi
  # The machine's own may be too old, or too new for Horovod.
  "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes \
    --only-binary=:all: -r requirements/horovod-build.lock ||
    die "pip could not install requirements/horovod-build.lock" \
      "(its message is above)"
  say "building Horovod: 3 minutes on 2 cores that have nothing else to do," \
    "8 on busy ones"
  # Whatever it was built with before.
  rm -f "$VENV"/horovod*.stamp
  # Reinstalled by force: it must match the TensorFlow that is there now.
  watch_build "$log" &
  trap "kill $! 2>/dev/null || true" EXIT
  env "${HOROVOD_OPTIONS[@]}" "${options[@]}" CXX="$compiler" \
    HOROVOD_CMAKE="$(cd "$VENV/bin" && pwd)/cmake" MAKEFLAGS="-j$(nproc)" \
    "$VENV/bin/python" -m pip install --verbose --no-cache-dir --no-deps \
    --force-reinstall --no-build-isolation --require-hashes \
    -r requirements/horovod.lock >"$log" 2>&1 || {
    grep -i 'error' "$log" | head -n 5 >&2 || true
    die "Horovod could not be built: see $log"
  }
  kill $! 2>/dev/null || true
  trap - EXIT
  "$VENV/bin/python" tools/patch_horovod.py || exit 1
  # Read to the end: a pipe into grep -q would break under pipefail.
  report=$("$VENV/bin/horovodrun" --check-build 2>/dev/null) || true
  [[ $report == *"[X] $needed"* ]] ||
    die "the Horovod that was built has no $needed: see $log"
  fingerprint "${files[@]}" >"$VENV/$stamp.stamp"
  say "built Horovod in $((SECONDS - started)) s"
}

case ${1:-} in
  cpu | run | gpu | dev | horovod | mpi | bench | export | browser | notebook | loggers | fuzz) ;;
  hpu | habana)
    # Its bridge has wheels for Python 3.10 alone.
    export PYTHON=${PYTHON:-python3.10}
    create_venv
    [[ $(python_version "$VENV/bin/python") == 3.10 ]] ||
      die "$VENV is not of Python 3.10, the only one that" \
        "habana-tensorflow has wheels for: PYTHON=/path/to/python3.10"
    if [[ $1 == hpu ]]; then install_locked hpu; else install_locked hpu-test; fi
    exit
    ;;
  audit | docs | beam)
    create_venv
    install_locked "$1"
    exit
    ;;
  beam-test)
    create_venv
    install_locked beam
    install_locked beam-test
    exit
    ;;
  lock)
    lock_requirements
    exit
    ;;
  *)
    die "usage: tools/setup_env.sh" \
      "cpu|run|gpu|hpu|dev|horovod|mpi|bench|export|browser|notebook|loggers|fuzz|habana|docs|beam|beam-test|audit|lock"
    ;;
esac
create_venv
install_locked run
case $1 in
  gpu | dev | bench | export | browser | notebook | fuzz) install_locked "$1" ;;
  loggers)
    install_locked wandb
    install_locked mlflow
    ;;
  horovod) install_horovod ;;
  mpi) install_horovod mpi ;;
esac
