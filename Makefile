# What a person types. Everything is installed into .venv; nothing else on the machine is touched.
# A target does its work once: stamps in .venv remember it until pyproject.toml changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A python3.11 that is on the path but cannot run (a version manager's stub) is passed over.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13; do \
	"$$name" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { command -v "$$name"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SERVING := $(VENV)/.installed-serving
DEVELOPING := $(VENV)/.installed-dev
# Golden losses are taken in double precision, which the signatures' Float32 refuses.
SHAPES := --jaxtyping-packages=pipeline,models,typechecker.check -k "not on_record" tests/pipeline tests/models
SERVE_FLAGS ?=

.PHONY: help install serve dev format check test clean

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 10

install: $(SERVING)  ## .venv with what serving needs and the command marey

serve: install  ## start the service and open its page
	$(BIN)/marey serve --open $(SERVE_FLAGS)

dev: $(DEVELOPING)  ## the same and what training, checking and testing need

format: dev  ## lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: dev  ## layout, lint, types, who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: dev check  ## check, then every test, then the array shapes of pipeline and models
	$(BIN)/python -m pytest -n logical
	PYTHONPATH=tests $(BIN)/python -m pytest -n logical -q -m "not slow" $(SHAPES)

clean:  ## remove .venv and what the tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@[[ -n "$(PYTHON)" ]] && "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
		echo "marey needs Python 3.11 or newer; found: $$("$(or $(PYTHON),python3)" --version 2>&1 || true)." >&2; \
		echo "Install one, or name it: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)." >&2; exit 1; }

$(SERVING): pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	@$(BIN)/python -c 'import cv2' || { \
		echo "OpenCV cannot be loaded: install libGL and glib (Debian: apt-get install libgl1 libglib2.0-0)." >&2; exit 1; }
	@touch $@

# torch comes first and pinned, so that nothing after it chooses another build.
$(DEVELOPING): pyproject.toml | $(BIN)/python
	$(PIP) install --quiet torch==2.13.0
	$(PIP) install --quiet --editable '.[dev]'
	@touch $(SERVING) $@
