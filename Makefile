# Everything here needs only make and Python 3.11 or newer: `setup` builds .venv with the standard library's
# venv and pip, and every other target runs it first.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
BIN := .venv/bin
STAMP := .venv/.built

.PHONY: azurite gallery help picture setup demo test lint types bench serve docs fmt clean
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
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --cov --cov-report=term

azurite:  ## install the emulator of Azure storage, for the tests that need it (npm)
	npm install --silent --no-audit --no-fund --prefix .azurite azurite@3

lint: setup  ## ruff: style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup  ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup  ## mypy --strict
	$(BIN)/mypy

bench: setup  ## speed and quality, side by side with other libraries
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench-torch]'
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench-compiled]'
	$(BIN)/python -m benchmarks

serve: setup  ## serve this home's jobs over HTTP, on this machine alone unless keys are configured
	$(BIN)/qiosk serve

docs: setup  ## run every snippet of the documentation
	$(BIN)/python -m pytest tests/e2e/test_docs.py

gallery: setup  ## draw the pictures of docs/gallery.md anew
	$(BIN)/python docs/gallery/draw.py

picture: setup  ## draw docs/architecture.svg from the imports
	$(BIN)/python -m tools.picture

clean:  ## remove what the targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* dist build
