# Every target says what it is for: make help. None needs a set-up by hand.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# Files of root in a user's clone would stop the user's next run.
ifneq ($(filter-out root,$(SUDO_USER)),)
ifeq ($(shell id -u),0)
$(error run 'make' without sudo: it asks for it only where a Debian package is missing)
endif
endif

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh $(VENV)

# grafana-client apart from the rest: docs/decisions/0005
.venv-grafana/ready: $(READY) pyproject.toml
	@echo "setup: a second environment for grafana-client in .venv-grafana"
	@[ -x .venv-grafana/bin/python ] || $(PYTHON) -m venv .venv-grafana
	@URLLIB3_NO_OVERRIDE=1 .venv-grafana/bin/python -m pip install -q --disable-pip-version-check \
		--no-binary urllib3-future -e '.[dashboards,grafana]'
	@touch $@

setup: $(READY) ## Install what is missing: Debian packages, and a Python environment in .venv

demo: $(READY) ## Run the whole chain on simulated meters (FOR=60 seconds of live running, DAYS=60 of history)
	@$(BIN)/zonewise-sim demo $(if $(FOR),--for $(FOR)) $(if $(DAYS),--days $(DAYS))

test: .venv-grafana/ready check ## Set up and run all tests, on real servers
	@$(BIN)/pytest tests -m "servers or slow" $(PYTEST_ARGS)

check: $(READY) ## Lint, types, import contracts and the fast tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests -m "not servers and not slow" -n auto $(PYTEST_ARGS)

bench: $(READY) ## Measure speed and size, print a table (BENCH="NAME ...")
	@$(BIN)/python -m tests.bench $(BENCH)

soak: $(READY) ## The loss test for longer (SOAK_MINUTES=60), with kills at random moments
	@ZONEWISE_SOAK_MINUTES=$(or $(SOAK_MINUTES),60) $(BIN)/pytest tests/system -m soak $(PYTEST_ARGS)

mutants: $(READY) ## Put faults into a module, tell which no test notices (MODULE=edge/uplink/window.py, TESTS="...")
	@$(BIN)/python scripts/mutants.py $(MODULE) $(TESTS)

generate: $(READY) ## Write again what is generated and committed: schemas, dashboards, tables in docs
	@$(BIN)/python scripts/generate.py

clean: ## Remove the Python environment and the demo's data
	rm -rf $(VENV) .venv-grafana .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutants

.PHONY: help setup demo test check bench soak mutants generate clean
