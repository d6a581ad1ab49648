# Everything a person, a hook or CI runs. The environment is .venv, the command .venv/bin/tuckshop.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --only-binary :all:

# Front proxies, linters and the browser of Debian's that some tests stand behind; where they may not be installed, those are skipped.
TEST_PACKAGES := nginx caddy yamllint faketime strace chromium

# Node.js where there is none: its official client is tested beside the Python one.
NODE_PACKAGES := nodejs npm
NODE := tests/acceptance/node
# Client libraries in environments of their own: those on the newest openai package, and those still on its version 2.
CLIENTS := clients clients-openai-2

# Most tests wait for a server of their own, so there is work for one process more than there are processors. A file's
# tests share its server and stay together; those files that take longest begin first.
PARALLEL := --numprocesses $(shell echo $$(($$(nproc) + 1))) --dist loadfile --no-loadscope-reorder

.PHONY: help setup run test test-clients check lint quick-tests fix bench bench-rivals soak lock test-packages

help:
	@echo "make run     set up, then start: the real thing if OPENAI_API_KEY is set or tuckshop-data is there, else the demo"
	@echo "make test    set up, then check and every test (as root: installs nginx, caddy, Chromium and Node.js with apt)"
	@echo "make test-clients  LangChain, LlamaIndex, AI SDK, agents … against a running server, in environments of their own"
	@echo "make setup   the environment with all tools"
	@echo "make check   format, lint, types, layers, quick tests"
	@echo "make fix     format, and mend what can be mended by machine"
	@echo "make bench   speed beside nginx, and the figures of the docs (installs nginx and wrk with apt where it may)"
	@echo "make bench-rivals  LiteLLM and Portkey on the same upstream (installs them into .rivals/)"
	@echo "make soak    the long races and kills: 200 kills, a million reservations; tells what it counted"
	@echo "make lock    resolve requirements/*.in anew"

# What the command needs, and the build backend that installs this checkout.
.venv/.run: requirements/run.txt requirements/build.txt pyproject.toml
	@test -x $(BIN)/python || echo "Setting up .venv: half a minute, this once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) -r requirements/run.txt -r requirements/build.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@$(PIP) -r requirements/dev.txt
	@touch $@

setup: .venv/.dev

run: .venv/.run
	@if [ -n "$$OPENAI_API_KEY$$OPENAI_API_KEY_FILE" ] || [ -e tuckshop-data ]; then exec $(BIN)/tuckshop serve; \
		else exec $(BIN)/tuckshop demo; fi

# Two at a time, which takes no longer than the longer of them.
check: setup
	@$(MAKE) --no-print-directory --output-sync=target -j2 lint quick-tests

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

quick-tests: setup
	$(BIN)/pytest -q $(PARALLEL) tests/unit tests/docs

test: check test-packages $(NODE)/node_modules/.made
	$(BIN)/pytest -q $(PARALLEL) tests/ports tests/integration tests/acceptance

test-clients: setup $(CLIENTS:%=.venv-%/.made) tests/clients/node/node_modules/.made
	$(BIN)/pytest -q tests/clients

test-packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null \
			|| echo "some of $(TEST_PACKAGES) could not be installed; their tests are skipped"; \
	fi
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v npm >/dev/null; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(NODE_PACKAGES) >/dev/null \
			|| echo "Node.js could not be installed; the tests of its client are skipped"; \
	fi

# npm checks each package against the hash in the lock file and runs no script of it.
$(NODE)/node_modules/.made: $(NODE)/package.json $(NODE)/package-lock.json | test-packages
	@if command -v npm >/dev/null && (cd $(NODE) && npm ci --silent); then touch $@; \
		else echo "the Node client could not be installed; its tests are skipped"; fi

.venv-%/.made: requirements/%.txt
	@test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes --only-binary :all: -r $<
	@touch $@

# By the Node.js of that environment: these packages need a newer one than Debian has.
tests/clients/node/node_modules/.made: tests/clients/node/package.json tests/clients/node/package-lock.json .venv-clients/.made
	@cd tests/clients/node && PATH="$(CURDIR)/.venv-clients/bin:$$PATH" npm ci --silent
	@touch $@

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m bench

bench-rivals: setup
	$(BIN)/python -m bench --only rivals

soak: setup
	$(BIN)/pytest -q -s -m soak tests/acceptance tests/integration

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/build.txt requirements/run.in requirements/build.in requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt requirements/prices.in -o requirements/prices.txt
	for name in $(CLIENTS); do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	cd $(NODE) && npm install --package-lock-only
	cd tests/clients/node && npm install --package-lock-only
