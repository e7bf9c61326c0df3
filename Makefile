# `make help` prints what stands behind `##`.
SHELL := /bin/bash
PYTHON := .venv/bin/python
# Most tests wait for servers and processes of their own: four at a time keep two cores busy.
PYTEST_ARGS ?= -n 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-cutover test lint translations bench bench-scale chaos chaos-cuts beside limits soak prove-cutover compatibility up down test-containers release-check audit lock client

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: ## prepare .venv from requirements.lock
	@./mailhaul --prepare

demo: ## two sample servers, three mailboxes, a full import, the report
	@./mailhaul demo

demo-cutover: ## two waves move while mail goes on coming, one is rolled back: 0 lost, 0 twice (about a minute)
	@./mailhaul demo --cutover

# Where no byte code is kept, each worker compiles all tests anew, and rewrites their assertions: twelve seconds a worker.
test: setup ## all tests (PYTEST_ARGS='-n 4 -m "not slow"' for fewer)
	@tests/install-servers
	PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest $(PYTEST_ARGS)

lint: setup ## ruff, codespell, mypy --strict, the floors
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/codespell
	.venv/bin/mypy
	.venv/bin/lint-imports

translations: setup ## texts that nobody has translated yet
	@$(PYTHON) -m tests.web.translations

bench: setup ## measure speed and memory, write bench/RESULTS.md
	@tests/install-servers
	$(PYTHON) -m bench

bench-scale: setup ## measure how it scales, write the tables of docs/scaling.md (20 minutes; PARTS='--only claims' for fewer)
	@tests/install-servers
	$(PYTHON) -m bench.scale $(PARTS)

RUNS ?= 30
SEED ?= 1
STEP ?= 7
MINUTES ?= 30

chaos: setup ## random faults on real processes, judged by the maildirs (RUNS=30 SEED=1; any run by its seed; docs/reliability.md)
	@tests/install-servers
	$(PYTHON) -m bench.chaos --runs $(RUNS) --seed $(SEED) $(ARGS)

chaos-cuts: setup ## the connection cut at every STEP-th byte of an import, both ways, at both servers (STEP=7)
	$(PYTHON) -m bench.chaos.cuts --step $(STEP)

beside: setup ## an honest import beside a hostile one on the same worker: what is left of its pace
	@tests/install-servers
	$(PYTHON) -m bench.beside $(ARGS)

limits: setup ## honest messages of 200 MB with the memory of the shipped worker, by IMAP and POP3
	@tests/install-servers
	$(PYTHON) -m bench.shipped_limits $(ARGS)

soak: setup ## passes with kills for MINUTES=30: memory, files, threads, series, keys, leases and logs must not grow
	@tests/install-servers
	$(PYTHON) -m bench.soak --minutes $(MINUTES) --seed $(SEED)

MAILBOXES ?= 500
WAVES ?= 5

prove-cutover: setup ## MAILBOXES=500 cut over in WAVES=5 while mail comes every second and processes are killed (40 minutes)
	@tests/install-servers
	$(PYTHON) -m bench.cutover --mailboxes $(MAILBOXES) --waves $(WAVES) --seed $(SEED) $(ARGS)

compatibility: setup ## one contract over many real servers, writes docs/compatibility.md (20 minutes; ARGS='--only Cyrus' for fewer)
	@tests/install-servers --more
	$(PYTHON) -m tests.compatibility $(ARGS)

up: ## everything on this machine: embedded Redis, coordinator, workers
	@./mailhaul up

down: ## stop what `make up` started
	@./mailhaul down

test-containers: setup ## build the image, run docker-compose.yml for real, import through it (Debian, root; see docs/deployment.md)
	$(PYTHON) -m tests.deploy.containers

release-check: setup ## build the wheel and the sdist, install both locks and the wheel elsewhere, try every Python here (five minutes)
	@tests/install-servers
	$(PYTHON) -m pytest tests/release
	@rm -rf dist && .venv/bin/hatchling build && ls -l dist

# The exit code is 2 where something could not be looked at; AUDIT_ADVISORIES=FILE gives advisories without the network.
audit: ## known faults of packages, dangerous calls, licences, an SBOM (artifacts/audit)
	@python3 -m venv .tools/audit && .tools/audit/bin/python -m pip install --quiet --retries 1 'pip-audit>=2.10,<3' 'bandit>=1.9,<2' 'cyclonedx-bom>=7,<8' \
	  || echo "audit: the tools could not be installed or renewed; those that are here are used"
	@.tools/audit/bin/python -m deploy.audit

client: setup ## generate a Python client from the API's document, in an environment of its own, and use it
	@python3 -m venv .tools/client && .tools/client/bin/python -m pip install --quiet 'openapi-python-client>=0.29,<0.30'
	@.venv/bin/python -m tests.web.generated_client

# In an environment of its own, so that the tool that resolves is not itself in the lock.
lock: ## resolve pyproject.toml anew into requirements.lock
	@python3 -m venv .tools/lock && .tools/lock/bin/python -m pip install --quiet 'uv>=0.9,<1'
	@echo '# Made by `make lock` from pyproject.toml (extras demo and dev) for every platform. Do not edit.' >.tools/requirements.lock
	@.tools/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-config --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --extra demo --extra dev pyproject.toml >>.tools/requirements.lock
	@mv .tools/requirements.lock requirements.lock
	@echo '# Made by `make lock`: what the image runs, in the versions of requirements.lock. Do not edit.' >.tools/image.lock
	@.tools/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-config --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --constraint requirements.lock pyproject.toml >>.tools/image.lock
	@mv .tools/image.lock deploy/requirements.lock
