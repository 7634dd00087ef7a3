# One machine, no configuration: `make run` shows a migration, `make test` proves the repository.

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/installed
# The first Python from 3.11 on, whatever it is called here; PYTHON=... chooses one.
PYTHON  ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
# A throwaway PostgreSQL, unless DATABASE_URL names one; it says which.
WITH_DATABASE := $(BIN)/python -m strangler.run.postgres --
ARGS    ?=
# What takes minutes of traffic is for CI, and for ALL=1.
ALL     ?= $(CI)
EVERYDAY := $(if $(ALL),,-m "not long")

.DEFAULT_GOAL := help
.PHONY: help install run test check bench fire matrix clean

help: ## Show this.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  ARGS="..." goes on to `strangler run`: --exit, --no-tour, --detach, --port N'

install: $(STAMP) ## Make .venv with everything in it, `strangler` included.

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python from 3.11 on, with venv, is here. Nothing was installed. Install one (Debian: apt-get install python3-venv), or run make PYTHON=/path/to/python3." >&2; \
		exit 1; fi
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.lock names into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install ## Start everything, and watch catalog reads move and come back.
	@$(BIN)/strangler run $(ARGS)

test: install ## Run every suite, each home's in a process of its own (ALL=1: the long tests too).
	@$(WITH_DATABASE) $(MAKE) --no-print-directory suites

# Labels must be unique in a process, so each home has one. All suites run, and one that failed fails the whole.
.PHONY: suites
suites:
	@failed=; \
	suite() { echo; echo "== pytest $$*"; $(BIN)/pytest "$$@" || failed="$$failed [$$*]"; }; \
	suite tests/contexts tests/architecture --home monolith -n 2; \
	for home in $$(ls -d extracted/*/service 2>/dev/null | cut -d/ -f2); do \
		suite "tests/contexts/$$home" --home "$$home"; done; \
	if [ -d tests/contracts ]; then suite tests/contracts; fi; \
	suite tests/strangler -n 3 --dist loadfile $(EVERYDAY); \
	if [ -d tests/journeys ]; then suite tests/journeys $(EVERYDAY); fi; \
	echo; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi; \
	echo "every suite passed$(if $(ALL),,; the long tests were left to make test ALL=1)"

check: install ## Lint, types, import contracts, security, the Compose file.
	@failed=; \
	try() { echo "== $$*"; "$$@" || failed="$$failed [$$(basename $$1) $$2]"; }; \
	try $(BIN)/ruff check .; \
	try $(BIN)/ruff format --check .; \
	try $(BIN)/mypy strangler; \
	try $(BIN)/lint-imports --no-cache; \
	try $(BIN)/lint-imports --no-cache --config monolith/.importlinter; \
	try $(BIN)/bandit --quiet --recursive --configfile pyproject.toml monolith extracted strangler; \
	try $(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

bench: install ## Measure everything beside its peers; writes docs/benchmarks.md (ARGS="rows": that alone).
	@$(BIN)/python -m tests.benchmarks $(ARGS)

fire: install ## Let 20,000 events through while all that carries them is killed (--sample, --way).
	@$(BIN)/python -m tests.strangler.events.fire $(ARGS)

matrix: install ## Strike everybody at every step of a switch; an hour or two, writes docs/matrix.md.
	@STRANGLER_MATRIX=1 $(WITH_DATABASE) $(BIN)/pytest tests/strangler/movement/test_operators.py tests/strangler/movement/test_model.py
	@$(BIN)/python -m tests.journeys.matrix $(ARGS)

clean: ## Stop what runs, and remove what was made here: .venv, .strangler, caches.
	@if [ -x $(BIN)/strangler ] && [ -d .strangler ]; then $(BIN)/strangler stop; fi
	@if [ -L .strangler/postgres ]; then rm -rf "$$(readlink .strangler/postgres)"; fi
	@if [ -L .strangler/capture ]; then rm -rf "$$(readlink .strangler/capture)"; fi
	rm -rf $(VENV) .strangler build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
