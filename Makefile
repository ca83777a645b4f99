# Everything here needs only make and Python 3.11 or newer: `setup` builds .venv with the standard library's
# venv and pip, and every other target runs it first.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
BIN := .venv/bin
STAMP := .venv/.built

.PHONY: help setup demo test lint types bench serve docs fmt clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Qiosk needs Python 3.11 or newer on PATH (or make PYTHON=/path/to/python)"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev,bench]'
	@touch $(STAMP)

setup: $(STAMP)  ## build .venv with all extras, when missing or older than pyproject.toml

demo: setup  ## solve the ship-loading problem and a published max-cut instance, then list the jobs
	$(BIN)/qiosk demo

test: setup  ## the whole test suite, with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

lint: setup  ## ruff: style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup  ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup  ## mypy --strict
	$(BIN)/mypy

bench: setup  ## speed and quality, side by side with other libraries
	$(BIN)/python -m benchmarks

serve: setup  ## watch and run this home's jobs in the foreground
	$(BIN)/qiosk supervise

docs: setup  ## run every snippet of the documentation
	$(BIN)/python -m pytest tests/e2e/test_docs.py

clean:  ## remove what the targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* dist build
