# Everything below needs only Python 3.11, make and the Python package registry.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help run test bench chaos fuzz audit test-sglang test-container test-prometheus contract docs configuration dashboard eval check lock format sglang prometheus fetch-test-models

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: $(VENV)/.runtime  ## Start the whole service on this machine's CPU: embedded engine and API
	@exec $(BIN)/llm-service serve --embedded

test: $(VENV)/.dev fetch-test-models  ## Run the tests, end to end on the embedded engine included
	$(BIN)/pytest -n 3 --dist loadfile --ignore=tests/e2e -m "not sglang and not container and not prometheus"
	$(BIN)/pytest tests/e2e  # alone: a model needs both cores

bench: $(VENV)/.dev  ## Measure CPU, latency and memory beside other gateways, five minutes; ARGS=interview, answers, flat, chunks or "--short"
	$(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/.dev  ## Overload, faults and failures from a seed, about five minutes; ARGS="NAME --seed N" for the long form
	$(BIN)/python -m chaos $(or $(ARGS),--short)

fuzz: $(VENV)/.dev  ## Hostile requests from a seed, twenty thousand bodies and more; ARGS="RUN --count N" for the long form
	$(BIN)/python -m fuzz $(or $(ARGS),--short)

audit: $(VENV)/.dev  ## Fresh install from the lock, .pth files, licences, SBOM, known vulnerabilities; ARGS=--offline without the last
	$(BIN)/python scripts/audit.py $(ARGS)

test-sglang: sglang  ## Install a real SGLang on the CPU and run the engine contract and the endpoints on it
	$(BIN)/pytest -n 2 --dist loadfile tests/sglang  # an SGLang a core
	$(BIN)/pytest tests/contract --engines simulator,sglang  # alone: it has both cores
	$(BIN)/python scripts/contract_table.py --check

test-prometheus: $(VENV)/.dev prometheus  ## Provoke every alert and query the whole dashboard on a real Prometheus (root; installs it)
	$(BIN)/pytest -n 3 tests/observability  # they mostly wait

test-container: $(VENV)/.dev fetch-test-models  ## Build the api image and run it (root; installs buildah and runc)
	$(BIN)/pytest tests/container

contract: $(VENV)/.dev fetch-test-models  ## Run the engine contract on all engines and write docs/contract.md
	$(BIN)/pytest tests/contract --engines simulator,sglang,embedded
	$(BIN)/python scripts/contract_table.py

eval: $(VENV)/.dev fetch-test-models  ## Measure scores and decisions on the embedded engine; options in ARGS="--limit 2"
	ENGINE=$${ENGINE:-embedded} $(BIN)/llm-service eval $(ARGS)

check: $(VENV)/.dev  ## Lint, types, import contracts, and that the lock files match pyproject.toml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/lock.py --check
	$(BIN)/python scripts/configuration.py --check
	$(BIN)/python deploy/observability/dashboard.py --check

docs: $(VENV)/.dev  ## Build the documentation into build/docs
	$(BIN)/sphinx-build --fail-on-warning --quiet docs build/docs
	@echo "build/docs/index.html"

configuration: $(VENV)/.dev  ## Write docs/configuration.md anew from the settings
	$(BIN)/python scripts/configuration.py

dashboard: $(VENV)/.dev  ## Write the Grafana dashboard anew
	$(BIN)/python deploy/observability/dashboard.py

lock: $(VENV)/.dev  ## Write requirements.txt and requirements-dev.txt anew from pyproject.toml
	$(BIN)/python scripts/lock.py

format: $(VENV)/.dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sglang: $(VENV)/.dev
	$(PYTHON) deploy/sglang-cpu/install.py
	$(PYTHON) deploy/sglang-cpu/make_model.py

prometheus:
	@command -v prometheus promtool >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; }

fetch-test-models: $(VENV)/.dev
	@$(BIN)/llm-service fetch qwen2.5-coder-1.5b
	@$(BIN)/llm-service fetch smollm2-135m

# Each stamp is newer than what it was made from, so a second run installs nothing and needs no network.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing packages into $(VENV) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it or set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
