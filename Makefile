# Everything a person, a hook or CI runs. The environment is .venv, the command .venv/bin/tuckshop.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --only-binary :all:

# Front proxies and linters of Debian's that some tests stand behind; where they may not be installed, those are skipped.
TEST_PACKAGES := nginx caddy yamllint faketime strace

.PHONY: help setup run test check fix bench soak lock test-packages

help:
	@echo "make run     set up, then start: the demo, or the real thing if OPENAI_API_KEY is set"
	@echo "make test    set up, then check and every test (as root: installs nginx, caddy and yamllint with apt)"
	@echo "make setup   the environment with all tools"
	@echo "make check   format, lint, types, layers, quick tests"
	@echo "make fix     format, and mend what can be mended by machine"
	@echo "make bench   speed beside nginx (installs nginx and wrk with apt where it may)"
	@echo "make soak    the long races and kills: 200 kills, a million reservations; tells what it counted"
	@echo "make lock    resolve requirements/*.in anew"

# What the command needs, and the build backend that installs this checkout.
.venv/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) -r requirements/run.txt -r requirements/build.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@$(PIP) -r requirements/dev.txt
	@touch $@

setup: .venv/.dev

run: .venv/.run
	@if [ -n "$$OPENAI_API_KEY" ]; then exec $(BIN)/tuckshop serve; else exec $(BIN)/tuckshop demo; fi

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/unit tests/docs

test: check test-packages
	$(BIN)/pytest -q tests/ports tests/integration tests/acceptance

test-packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null \
			|| echo "some of $(TEST_PACKAGES) could not be installed; their tests are skipped"; \
	fi

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m bench

soak: setup
	$(BIN)/pytest -q -s -m soak tests/acceptance tests/integration

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/build.txt requirements/run.in requirements/build.in requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt requirements/prices.in -o requirements/prices.txt
