# `make validate` and `make test` do all set-up on a machine with python3, a C++ compiler and make, then run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml setup.py constraints.txt tests/frameworks/without-dependencies.txt $(wildcard csrc/*/*.h csrc/*/*.cpp csrc/*/*.cu)

.PHONY: validate test slow lint generate bench sanitize clean

validate: $(STAMP)
	$(BIN)/ematheory validate --tier smoke --out report

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(filter-out %/generated.h csrc/core/moments.h,$(wildcard csrc/*/*.h csrc/*/*.cpp csrc/*/*.cu))

# The updates and gradients, and the steps of predict's moments, traced from Python into csrc/core/.
generate: $(STAMP)
	$(BIN)/python -m ematheory.simulation.engine_tracing csrc/core/generated.h
	$(BIN)/python -m ematheory.simulation.moment_tracing csrc/core/moments.h

bench: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/noisy_quadratic.py

$(STAMP): $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "make: Python 3.10 or newer is needed; set PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "make: this Python has no venv or ensurepip; on Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' || \
	  echo "make: no Python.h (on Debian: apt-get install python3-dev); the NumPy reference will serve"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check torch -c constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[torch,test,frameworks,dev]'
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r tests/frameworks/without-dependencies.txt
	@touch $(STAMP)

# The native module under AddressSanitizer and UBSan, then under ThreadSanitizer: half an hour.
sanitize: $(STAMP)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt pybind11 setuptools
	tests/sanitize $(BIN)/python

clean:
	rm -rf build $(VENV) *.egg-info ematheory/*.so
