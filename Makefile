# Every target makes what it needs: a virtual environment with the versions of constraints.txt.
#   make demo       the main job on real input
#   make test       lint, types, import rules, tests
#   make night      the properties and the harness with many more examples: hours
#   make test-all   the tests on Python 3.11, 3.12 and 3.13
#   make types      what pyright sees of the public API (in `make test`: mypy)
#   make bench      rates of our primitives as ratios to raw Trio
#   make docs       the documentation as a site in ./site
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
DEMO_LOG ?= examples/logwatch/data/access.log
PYTEST_ARGS ?=

.PHONY: demo test lint unit night test-all types bench docs clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("trio-actors needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/trio-actors run examples/logwatch -x logwatch:report -- $(DEMO_LOG) --chaos

test: lint unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo flake8-async: the files that await; grep -rlE 'async |await ' --include='*.py' trio_actors supervision lua_bridge registry \
	  | xargs $(BIN)/flake8 --isolated --select ASYNC --extend-ignore ASYNC109,ASYNC114,ASYNC9
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -q -n 2 $(PYTEST_ARGS)

night: $(STAMP)
	$(BIN)/pytest -q -n 2 --hypothesis-profile=night property_tests tests/test_testing tests/test_lua_bridge/test_channel_programs.py $(PYTEST_ARGS)

test-all:
	@set -e; for v in 3.11 3.12 3.13; do \
	  python=$$(PYTHON_VERSION=$$v sh .ci/find-python); \
	  echo "== Python $$v =="; \
	  $(MAKE) --no-print-directory unit PYTHON=$$python VENV=.venv-$$v; \
	done

types: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[types]'
	$(BIN)/pytest -q tests/test_trio_actors/test_typing.py

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

clean:
	rm -rf .venv* build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
