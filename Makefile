# demo: run everything and fit a first model · up: run everything (PORT=8000) · test · check · format
# slow: long campaigns · bench: the figures of the docs · chaos: kill processes in mid-fit · openapi: write openapi/openapi.json
# node: what only the tests need, from npm

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := up

BIN := .venv/bin
# Any Python from 3.11 on; the first that is new enough.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done)
UV_VERSION := 0.13.*
CODE := model store service worker client stack tests benchmarks examples

NODE := tests/contract/node

.PHONY: up demo test check format slow bench chaos openapi node clean

up: .venv
	$(BIN)/python -m stack.up

demo: .venv
	$(BIN)/python -m stack.demo

test: .venv node
	$(BIN)/python -m pytest -q -m "not slow" -n 2

check: .venv
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv
	$(BIN)/ruff format $(wildcard $(CODE))
	$(BIN)/ruff check --fix $(wildcard $(CODE))

slow: .venv node
	$(BIN)/python -m pytest -q -m slow

bench: .venv
	for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py); done

chaos: .venv
	$(BIN)/python -m pytest -q tests/system

openapi: .venv
	$(BIN)/python -m service.openapi

node: $(NODE)/node_modules/.package-lock.json

# What only the tests need, as the lock file has it.
$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	@command -v npm > /dev/null || { echo "the tests need Node 20 or newer, with npm" >&2; exit 1; }
	cd $(NODE) && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# The environment, as the lock file has it; made again when that has changed.
.venv: pyproject.toml uv.lock | .ranef/uv
	.ranef/uv/bin/uv sync --frozen --all-extras --python "$(PYTHON)"
	touch .venv

.ranef/uv:
	@test -n "$(PYTHON)" || { echo "ranef needs Python 3.11 or newer" >&2; exit 1; }
	@echo "Installing uv, and then what uv.lock lists …"
	$(PYTHON) -m venv .ranef/uv
	.ranef/uv/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)" || { rm -rf .ranef/uv; exit 1; }

clean:
	rm -rf .venv .ranef $(NODE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
