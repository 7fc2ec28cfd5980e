# `make` lists what there is. Commands run in .venv if there is one.
PYTHON := $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

FUZZ_MINUTES ?= 1
LOWEST_PYTHON ?= 3.11
LOWEST_TESTS ?= tests
IN_LOWEST := --python .venv-lowest/env/bin/python

.DEFAULT_GOAL := help
.PHONY: help check quick test durations lowest fuzz golden docs bench ci

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

check:  ## format, lint and types, without changing anything
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright --pythonpath $(PYTHON)

quick:  ## the tests that tell most in a minute: what is slow is left out, and most cases of what has many
	$(PYTHON) -m pytest -q -n 2 --quick

test:  ## all tests
	$(PYTHON) -m pytest -n 2

durations:  ## all tests, and what each costs into tests/durations.txt, by which `quick` chooses
	$(PYTHON) -m pytest -q -n 2 --record

lowest:  ## all tests with the lowest versions that pyproject.toml allows, in .venv-lowest (some gigabytes)
	test -x .venv-lowest/bin/uv || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade uv
	.venv-lowest/bin/uv venv --quiet --clear --seed --python $(LOWEST_PYTHON) .venv-lowest/env
	.venv-lowest/bin/uv pip install --quiet $(IN_LOWEST) --resolution lowest-direct -r pyproject.toml --extra test
	.venv-lowest/bin/uv pip install --quiet $(IN_LOWEST) --no-deps --editable .
	.venv-lowest/bin/uv pip list $(IN_LOWEST)
	PATH="$(CURDIR)/.venv-lowest/env/bin:$$PATH" PYTHONPATH= .venv-lowest/env/bin/python -m pytest -q -n 2 $(LOWEST_TESTS)

fuzz:  ## ever new specs, mutants and bytes: FUZZ_MINUTES=1 for each of twelve fuzzers, counts at the end
	NETSPEC_FUZZ_MINUTES=$(FUZZ_MINUTES) $(PYTHON) -m pytest -q tests/fuzz
	NETSPEC_FUZZ_MINUTES=$(FUZZ_MINUTES) $(PYTHON) -m tests.fuzz.atheris_loader

golden:  ## write the expected texts anew; read the diff before you commit it
	NETSPEC_REWRITE_GOLDENS=1 $(PYTHON) -m pytest -q -k golden

docs:  ## write generated pages and the outputs shown in examples anew
	$(PYTHON) docs/generate.py
	$(PYTHON) -m tests.docs.documents --update

bench:  ## what reports and compiling cost; not part of the tests
	for name in cold_summary report growth compile weights memory errors export speed lines; do $(PYTHON) tests/benchmarks/$$name.py; done

ci:  ## what a change must pass: a fresh install, all tests, and check
	bash .ci/run
