# Key2Key's commands; `make` lists them. A fresh machine needs GNU make (3.81 or newer) and Python (3.11 or newer).
# A variable given on the command line is a setting of the program too: make run PORT=8001 DATA_DIR=/somewhere

VENV := .venv
BIN := $(VENV)/bin

# The first Python that is recent enough, and preferably able to create an environment. It is run, not merely looked
# up: a pyenv shim exists for versions that do not run.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for code in "import ensurepip, venv; $(RECENT)" "$(RECENT)"; do \
	for python in python3.13 python3.12 python3.11 python3; do \
		$$python -c "$$code" 2>/dev/null && echo $$python && exit; done; done)

# Stamps. While pip works the environment's own stamp is away, so that an install that was killed half-way starts over
# from an empty environment; one that failed (no network, say) leaves what was there, and is tried again.
MADE := $(VENV)/.made
DEVELOPMENT := $(VENV)/.development
TEST := $(VENV)/.test
PROJECT := $(VENV)/.project
TO_RUN := $(DEVELOPMENT) $(PROJECT)
TO_TEST := $(TEST) $(PROJECT)
install = trap 'exit 130' HUP INT TERM; mv $(MADE) $(MADE).away; \
	$(BIN)/python -m pip install --disable-pip-version-check -qq $(1); code=$$?; \
	mv $(MADE).away $(MADE); exit $$code

# `make check` migrates a database of its own, whatever the environment and .env say (DATABASE outranks a DATABASE_URL
# in .env), unless it is given one: make check DATABASE_URL=…
SCRATCH := .data/check
ON_SCRATCH = $(if $(filter command,$(origin DATABASE_URL)),,\
	env -u DATABASE_URL DATABASE='{"url": null}' DATA_DIR=$(SCRATCH))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run dev prod test processes check check-code format lint types layers stack-lint migrations api api-release fuzz faults bench clients \
	migrate upgrade downgrade seed import backup restore maintain openapi requirements clean

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: $(TO_RUN) ## Serve on http://127.0.0.1:8000, migrated and filled on the first run (PORT=… DATA_DIR=…)
	@$(BIN)/key2key serve $(ARGS)

WITH_DOCKER = docker compose version > /dev/null 2>&1 || { \
	echo "This needs Docker with its compose plugin: https://docs.docker.com/engine/install. Without it there is make run." >&2; exit 1; }
dev: ## Serve with real servers in Docker, and reload what you change (dev.yml)
	@$(WITH_DOCKER)
	@docker compose --file dev.yml up --build $(ARGS)

# One app serves while the other is replaced; nginx, which is there from the second time on, notices. What is emitted
# by the new ones has to find handlers: so workers and relay come before them.
PROD = docker compose --file prod.yml
prod: ## Start the whole system in Docker as it serves users, or replace it by this version (prod.yml)
	@$(WITH_DOCKER)
	@sh deploy/make_secrets.sh
	@$(PROD) build
	@$(PROD) up --detach --wait worker bulk-worker mail-worker slow-worker
	@$(PROD) up --detach --wait relay
	@$(PROD) up --detach --wait app-1
	@$(PROD) up --detach --wait app-2
	@$(PROD) up --detach --wait --remove-orphans $(ARGS)

PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest
test: $(TO_TEST) ## Run the tests in parallel (ARGS="-k refresh")
	@$(PYTEST) -n logical -m "not processes" $(ARGS)

processes: $(TO_TEST) ## Run the tests that start processes, servers and migrations of their own
	@$(PYTEST) -n logical -m processes $(ARGS)

check: check-code test processes fuzz faults clients ## Everything that CI checks

check-code: lint types layers stack-lint migrations api ## Everything that CI checks without sending requests

format: $(TEST) ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

lint: $(TEST) ## Check style and formatting (ruff)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(TO_TEST) ## Check types (mypy, strict)
	@$(BIN)/mypy

layers: $(TO_TEST) ## Check who imports whom (import-linter)
	@$(BIN)/lint-imports --no-logo

stack-lint: $(TEST) ## Check the Dockerfile (hadolint), dev.yml and prod.yml (Compose's schema)
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec --quiet dev.yml prod.yml

migrations: $(TO_TEST) ## Check that the migrations make what the models say (alembic check)
	@rm -rf $(SCRATCH)
	@$(ON_SCRATCH) $(BIN)/key2key migrate
	@$(ON_SCRATCH) $(BIN)/alembic check

api: $(TO_TEST) ## Check that openapi.json is current and breaks no client undeclared
	@$(BIN)/key2key openapi --check
	@$(BIN)/python -m tests.api check

api-release: $(TO_TEST) api ## Make openapi.json the released one, which later ones are compared with
	@$(BIN)/python -m tests.api release

fuzz: $(TO_TEST) ## Send thousands of odd requests to a running server, made from openapi.json (Schemathesis)
	@$(PYTEST) tests/e2e/fuzzing.py $(ARGS)

faults: $(TO_TEST) ## Take PostgreSQL away from a running server under load, three ways
	@$(PYTEST) tests/e2e/outages.py $(ARGS)

# As root they are installed, from Debian's packages; anybody else is told what is missing.
SERVERS := rabbitmq-server redis-server nginx postgresql-15
test-servers: $(TO_TEST) ## Run the tests on real PostgreSQL, RabbitMQ, Redis and nginx, faults included
	@dpkg -s $(SERVERS) >/dev/null 2>&1 || test "$$(id -u)" != 0 || { apt-get update -qq && apt-get install -yqq $(SERVERS) >/dev/null; }
	@$(PYTEST) -n 3 --dist worksteal tests/servers $(ARGS)

SIZES ?= 10000 300000
SECONDS ?= 5
bench: $(TO_TEST) ## Measure our server against a bare handler, with wrk (SIZES="10000 300000" SECONDS=5)
	@$(BIN)/python -m benchmarks.run $(SIZES) $(SECONDS)

# They have an environment of their own: what generates them wants other versions than the server, and a node.
CLIENTS := build/clients
TYPESCRIPT := clients/typescript
CLIENT_TOOLS := $(CLIENTS)/env/.made
NODE_MODULES := $(TYPESCRIPT)/node_modules/.made
WITH_TOOLS = PATH="$(abspath $(CLIENTS)/env/bin):$$PATH"
clients: $(TO_TEST) $(CLIENT_TOOLS) $(NODE_MODULES) ## Generate the Python and the TypeScript client, and have them sign in, create and search
	@mkdir -p $(CLIENTS)/python
	@$(WITH_TOOLS) openapi-python-client generate --path openapi.json --config clients/python/generator.yml \
		--meta none --overwrite --fail-on-warning --output-path $(CLIENTS)/python/key2key_client
	@MYPYPATH=$(CLIENTS)/python $(WITH_TOOLS) mypy --strict --config-file= --cache-dir $(CLIENTS)/mypy clients/python/example.py
	@cd $(TYPESCRIPT) && $(WITH_TOOLS) && export PATH && npm run --silent generate && npm run --silent check
	@$(PYTEST) tests/e2e/clients.py $(ARGS)

migrate: upgrade ## Migrate the database, then write a new revision if message="add boats" is given
	@test -z "$$message" || $(BIN)/alembic revision --autogenerate -m "$$message"

upgrade: $(TO_RUN) ## Migrate the database to the newest revision
	@$(BIN)/key2key migrate

downgrade: $(TO_RUN) ## Take the newest revision back (to=<revision>)
	@$(BIN)/alembic downgrade $(or $(to),-1)

seed: $(TO_RUN) ## Fill the database with the demo accounts and listings
	@$(BIN)/key2key seed $(ARGS)

import: $(TO_RUN) ## Import listings: FILE=listings.csv OWNER=seller@example.com
	@test -n "$$FILE" && test -n "$$OWNER" || { echo "Say what to import, and for whom: make import FILE=listings.csv OWNER=seller@example.com" >&2; exit 2; }
	@$(BIN)/key2key import "$$FILE" --owner "$$OWNER" $(ARGS)

backup: $(TO_RUN) ## Back the database and the files up as one archive (FILE=backup.tar)
	@$(BIN)/key2key backup $(if $(FILE),"$$FILE") $(ARGS)

restore: $(TO_RUN) ## Restore FILE=backup.tar into an empty database, and compare (ARGS="--into NAME" makes one)
	@test -n "$$FILE" || { echo "Say what to restore: make restore FILE=backup.tar" >&2; exit 2; }
	@$(BIN)/key2key restore "$$FILE" $(ARGS)

maintain: $(TO_RUN) ## Clean up: what has expired, rows and files of nobody, statistics
	@$(BIN)/key2key maintain

openapi: $(TO_RUN) ## Write openapi.json
	@$(BIN)/key2key openapi

# uv keeps the versions that the files already name; ARGS=--upgrade takes the newest.
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet $(ARGS)
requirements: $(TEST) ## Pin requirements/*.txt and those of clients/ again (ARGS=--upgrade)
	@$(COMPILE) pyproject.toml -o requirements/base.txt
	@$(COMPILE) pyproject.toml --extra production -c requirements/base.txt -o requirements/production.txt
	@$(COMPILE) pyproject.toml --extra development -c requirements/base.txt -o requirements/development.txt
	@$(COMPILE) pyproject.toml --extra development --extra test -c requirements/development.txt -o requirements/test.txt
	@$(COMPILE) clients/python/requirements.in -o clients/python/requirements.txt

clean: ## Remove the environment and the caches (the data in .data/ stays)
	@rm -rf $(VENV) $(SCRATCH) *.egg-info build dist htmlcov $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/generated .coverage .coverage.* \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./.data -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

$(MADE):
	@python="$(PYTHON)"; \
	$${python:-false} -c "$(RECENT)" 2>/dev/null || { \
		echo "Key2Key needs Python 3.11 or newer: install it, or name one with make PYTHON=/path/to/python3." >&2; exit 1; }; \
	$$python -c "import ensurepip, venv" 2>/dev/null || { \
		echo "$$python cannot create a virtual environment: install its venv module (on Debian and Ubuntu: apt install $${python##*/}-venv)." >&2; exit 1; }; \
	echo "Creating $(VENV) with $$($$python -V)"; \
	$$python -m venv --clear $(VENV)
	@touch $@

$(DEVELOPMENT): requirements/development.txt $(MADE)
	@echo "Installing $< (once; it can take a minute)"
	@$(call install,-r $<)
	@touch $@

# test.txt holds everything that development.txt does.
$(TEST): requirements/test.txt $(MADE)
	@echo "Installing $< (once; it can take a minute)"
	@$(call install,-r $<)
	@touch $@ $(DEVELOPMENT)

$(PROJECT): pyproject.toml $(MADE)
	@echo "Installing the key2key command"
	@$(call install,--no-deps -e .)
	@touch $@

$(CLIENT_TOOLS): clients/python/requirements.txt $(MADE)
	@echo "Installing $< (once; it can take a minute)"
	@$(BIN)/python -m venv --clear $(CLIENTS)/env
	@$(CLIENTS)/env/bin/python -m pip install --disable-pip-version-check -qq -r $<
	@touch $@

$(NODE_MODULES): $(TYPESCRIPT)/package-lock.json $(CLIENT_TOOLS)
	@cd $(TYPESCRIPT) && $(WITH_TOOLS) && export PATH && npm ci --silent
	@touch $@
