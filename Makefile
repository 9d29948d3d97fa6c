# `make help` lists the targets; each does its own set-up in $(VENV).
# VENV=.venv   where things are installed
# PYTHON=...   which Python 3.10 or 3.11 to take (default: the first found)
# ARGS=...     passed on to pytest, or to the benchmarks
SHELL := /bin/bash
VENV ?= .venv
PY := "$(VENV)/bin/python"
ARGS ?=
export VENV PYTHON

.DEFAULT_GOAL := help
.PHONY: docs setup-beam setup-mpi test-docs help setup environment setup-horovod lock audit lint format test setup-export test-slow test-faults test-export test-browser test-loggers test-beam fuzz test-elastic test-dist test-hosts test-habana bench bench-smoke demo clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | \
	  expand -t 22

setup: environment  ## create .venv and install what is pinned
	@echo "next: source '$(VENV)/bin/activate', then the commands under 'Your" \
	  "own data' in README.md; or make demo, which needs no data"

environment:
	@tools/setup_env.sh dev

setup-horovod:  ## and build Horovod with Gloo (needs g++)
	@tools/setup_env.sh horovod

setup-mpi:  ## TensorFlow, and Horovod built with MPI (.venv-mpi; needs mpicxx)
	@VENV="$(VENV)-mpi" tools/setup_env.sh mpi

setup-export:  ## and what ONNX files are made with
	@tools/setup_env.sh export

setup-beam:  ## Apache Beam and the converter, without TensorFlow (.venv-beam)
	@VENV="$(VENV)-beam" tools/setup_env.sh beam

lock:  ## make requirements/*.lock from the .txt files, after a change of these
	@tools/setup_env.sh lock

# Strict: a package that the database does not tell of is a failure too.
audit:  ## look the locked packages up in a database of vulnerabilities
	@VENV="$(VENV)-audit" tools/setup_env.sh audit
	"$(VENV)-audit/bin/pip-audit" --strict --progress-spinner=off --desc=on \
	  --disable-pip --no-deps --require-hashes -r requirements/run.lock \
	  -r requirements/horovod.lock

lint: environment  ## check style, formatting, the plan of imports, types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	"$(VENV)/bin/lint-imports"
	$(PY) -m mypy

format: environment  ## repair style and formatting where that can be automatic
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

test:  ## all tests but the slow ones, with coverage
	@tools/run_tests.sh $(ARGS)

test-slow: environment setup-horovod  ## the slow tests but the next ones
	$(PY) -m pytest -n 2 -m slow --ignore=tests/runtime/test_elastic.py $(ARGS)

# A program beside the project, with situations that went wrong once.
FAULTS ?= ../shared/cases/faults.py
# Times the hostile inputs of `make test`.
INPUTS ?= 25
test-faults: environment  ## hostile inputs, real faults, the cases of FAULTS=FILE
	PYTEST_INPUTS=$(INPUTS) $(PY) -m pytest -n 2 tests/hostile $(ARGS)
	$(PY) -m pytest -n 2 -m faults $(ARGS)
	@if [ -e "$(FAULTS)" ]; then $(PY) "$(FAULTS)" --project .; \
	else echo "LEFT OUT: $(FAULTS) is not there"; fi

test-export: environment setup-export  ## files for other programs, run by those
	@(cd tests/export/node && npm ci --ignore-scripts --no-audit --no-fund \
	  --loglevel=error) || echo "LEFT OUT: JavaScript, for want of npm's packages"
	$(PY) -m pytest -m export $(ARGS)

test-browser:  ## the report of a run, opened in Chromium
	@tools/test_browser.sh $(ARGS)

docs:  ## build the documentation site into site/
	@VENV="$(VENV)-docs" tools/setup_env.sh docs
	@NO_MKDOCS_2_WARNING=1 "$(VENV)-docs/bin/mkdocs" build --quiet $(ARGS)
	@echo "docs: site/index.html"

test-docs: docs environment  ## the site without dead links, and the notebook
	@tools/setup_env.sh notebook
	$(PY) -m pytest -m docs $(ARGS)

test-loggers: environment  ## --log_to with the packages of W&B and MLflow
	@tools/setup_env.sh loggers
	$(PY) -m pytest -m loggers $(ARGS)

# Those that have the mark: the others need TensorFlow.
BEAM_TESTS := tests/convert/test_beam.py
test-beam:  ## conversion on Apache Beam, workers killed
	@VENV="$(VENV)-beam" tools/setup_env.sh beam-test
	"$(VENV)-beam/bin/python" -m pytest -m beam $(BEAM_TESTS) $(ARGS)

fuzz:  ## fuzz what reads files of others (ARGS=--seconds=600 for each target)
	@tools/setup_env.sh fuzz
	$(PY) -m fuzz $(ARGS)

test-elastic: environment setup-horovod  ## twenty workers killed, some 8 minutes
	$(PY) -m pytest -m slow tests/runtime/test_elastic.py $(ARGS)

test-dist: environment setup-horovod  ## the two-process Horovod tests
	$(PY) -m pytest -m "dist and not slow" $(ARGS)

# In two processes: they wait for a host that is cut off most of the time.
test-hosts: environment setup-horovod  ## two hosts of one machine (needs root)
	$(PY) -m pytest -n 2 -m hosts $(ARGS)

test-habana:  ## what is relied on in the real Gaudi bridge (Python 3.10)
	@VENV=.venv-hpu tools/setup_env.sh habana
	.venv-hpu/bin/python -m pytest tests/runtime/test_habana_package.py $(ARGS)

bench:  ## measure speed as ratios (ARGS=--camvid=FOLDER); needs a quiet machine
	@tools/setup_env.sh bench
	$(PY) -m benchmarks.run $(ARGS)

bench-smoke: environment  ## try all benchmarks on something tiny
	$(PY) -m benchmarks.run --smoke --output=/dev/null $(ARGS)

demo:  ## draw a data set, convert, train, evaluate, predict, report (into demo/)
	@tools/demo.sh

clean:  ## remove what make wrote, apart from .venv
	rm -rf site demo/data demo/records demo/run .pytest_cache .hypothesis .ruff_cache .coverage .coverage.* tests/{export,browser}/node/node_modules
	find main.py segnet tools tests benchmarks fuzz -name __pycache__ -prune -exec rm -rf {} +
