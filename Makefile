# Everything a developer or CI runs. Needs Python 3.11+ and make; each target sets up what it needs. Works from any folder: make -C <here>
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# Make splits names at blanks, so that a checkout in `My Projects` never shows in one: all are relative to HERE, `./` but for `make -f`.
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
STAMP := $(HERE).venv/.ready
# The environment that is made here is whole: nothing of the caller's own is mixed into it, or put elsewhere.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER
COVERAGE := 90
E2E ?= tests/e2e

.DEFAULT_GOAL := help
.PHONY: help setup launcher demo test lint check e2e bench images images-all docs screenshots lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(HERE)Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make the virtual environment with the locked, hashed packages
$(STAMP): $(HERE)requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11")'
	@cd $(HERE) && rm -rf .venv && $(PYTHON) -m venv .venv
	@cd $(HERE) && echo "setting up $$PWD/.venv (once; some minutes) ..." && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $(STAMP)

demo: $(STAMP) ## the main job from end to end on this machine: no cluster needed
	@cd $(HERE) && $(PY) -m demo

test: $(STAMP) ## unit, property and integration tests; COVER=1 with branch coverage
ifdef COVER
	@cd $(HERE) && $(BIN)/coverage run -m pytest $(TESTS) && $(BIN)/coverage report --skip-covered --fail-under=$(COVERAGE)
else
	@cd $(HERE) && $(PY) -m pytest $(TESTS)
endif

lint: $(STAMP) ## lint, types, import rules, generated docs
	@cd $(HERE) && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache
	@cd $(HERE) && $(PY) -m docs.generate --check

check: ## lint and the tests with branch coverage: what must pass before a commit
	@$(MAKE) --no-print-directory -C $(HERE) lint && $(MAKE) --no-print-directory -C $(HERE) test COVER=1

e2e: $(STAMP) ## end-to-end tests on the cluster that KUBECONFIG names; E2E="FILE..." for some of them
	@cd $(HERE) && $(PY) -m pytest $(E2E) -p no:randomly -v -rfEs

bench: $(STAMP) ## first figures, as ratios
	@cd $(HERE) && $(PY) -m tests.bench

launcher: $(STAMP) ## the program of mode exec, for both architectures
	@cd $(HERE) && $(PY) -m launcher.build amd64 arm64

images: $(STAMP) ## both images for this machine's architecture
	@cd $(HERE) && images/build

images-all: $(STAMP) ## both images for amd64 and arm64
	@cd $(HERE) && images/build amd64 arm64

docs: $(STAMP) ## docs/annotations.md and docs/settings.md from the tables in code
	@cd $(HERE) && $(PY) -m docs.generate

screenshots: $(STAMP) ## docs/images: the web page in light and dark, with the machine's Chromium
	@cd $(HERE) && $(PY) -m docs.screenshots

lock: ## resolve pyproject.toml again and write requirements/*.txt with hashes (needs uv)
	@cd $(HERE) && uv lock --quiet --upgrade && uv export --quiet --no-header --no-emit-project --no-annotate --all-groups --all-extras -o requirements/dev.txt \
	  && uv export --quiet --no-header --no-emit-project --no-annotate --no-default-groups --all-extras -o requirements/run.txt && rm -f uv.lock

clean: ## remove what the targets made
	@cd $(HERE) && rm -rf .venv build
