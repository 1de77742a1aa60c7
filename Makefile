# All commands. Python 3.11+ is all that is needed; the environment is made on first use.
.DEFAULT_GOAL := help
.PHONY: help up down dead-letters admin test bench fault soak fmt env lock lock-jars

python = .venv/bin/python
checked = deploy services shared tests

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: env ## start everything; DEMO=0 leaves the demo out; Ctrl-C stops it
	@PYTHONDONTWRITEBYTECODE=1 exec $(python) -m deploy.local up $(if $(filter 0 no false,$(DEMO)),--no-demo)

down: env ## stop the one that runs in the background
	@PYTHONDONTWRITEBYTECODE=1 exec $(python) -m deploy.local down

dead-letters: env ## what could not be used, and why; ARGS="send --help" tells how to send it again
	@PYTHONDONTWRITEBYTECODE=1 exec $(python) -m deploy.local dead-letters $(or $(ARGS),list)

admin: env ## tenants, users, keys; ARGS="create-key --tenant demo --name shop" makes one; ARGS=--help lists all
	@PYTHONDONTWRITEBYTECODE=1 exec $(python) -m deploy.local admin $(or $(ARGS),--help)

test: env ## everything that CI runs
	.venv/bin/ruff check $(checked)
	.venv/bin/ruff format --check $(checked)
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit --quiet --configfile pyproject.toml --recursive deploy services shared
	$(python) -m deploy.audit
	.venv/bin/pytest -n 2 --dist loadfile

bench: env ## measure beside a ceiling and a peer in one run; prints tables, writes bench.json
	$(python) -m tests.bench

fault: env ## every fault with three seeds; CASE=1 and SEED=7 choose, GUARDS=1 takes guards away; writes fault.json
	$(python) -m tests.fault $(if $(GUARDS),--guards) $(if $(CASE),--case $(CASE)) $(if $(SEED),--seed $(SEED))

soak: env ## random faults under load, 30 minutes; MINUTES=60 and SEED=7 choose; writes soak.json
	$(python) -m tests.fault.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

fmt: env ## format and fix what can be fixed
	.venv/bin/ruff check --fix $(checked)
	.venv/bin/ruff format $(checked)

env: ## make .venv if it is missing or older than the lock
	@python=$$(PYTHON="$(PYTHON)" sh deploy/local/python.sh) && exec "$$python" deploy/local/bootstrap.py

# ---- for who changes dependencies; needs uv
compile = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock: ## resolve the packages anew: versions and hashes, no addresses
	$(compile) --upgrade -o requirements.lock pyproject.toml
	$(compile) --upgrade -o requirements-dev.lock -c requirements.lock --group local --group dev pyproject.toml

lock-jars: env ## resolve Kafka's jars anew
	$(python) -m deploy.local.kafka_jars
