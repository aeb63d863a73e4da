# `make help` lists the commands. Everything is installed into .venv; nothing outside it is touched.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.8
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
# Python keeps what it has compiled, whatever the shell says: else each process compiles torch anew.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all check docs lock parameters dashboard ui bench clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP)  ## make .venv and install what requirements.lock names

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "segpipe needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP)  ## run the whole pipeline on the embedded data and show the scores
	$(RUN) dvc repro
	@$(RUN) dvc plots show --quiet
	@$(RUN) python -m segpipe.cli.main show

test: $(STAMP)  ## run the fast tests
	$(RUN) python -m pytest -n logical --dist worksteal

test-slow: $(STAMP)  ## run the slow tests alone
	$(RUN) python -m pytest -n logical --dist worksteal -rs -m slow

test-all: $(STAMP)  ## run all tests, the slow ones too
	$(RUN) python -m pytest -n logical --dist worksteal -m ''

check: $(STAMP) docs  ## run ruff, mypy, import-linter, and build the pages
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

docs: $(STAMP)  ## build the pages of docs/ as a site in site/; a link that leads nowhere is an error
	$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict

lock: $(STAMP)  ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra geo --extra smp --extra weights --extra video --extra dashboard --extra sweep --extra export --extra ray --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements.lock pyproject.toml

parameters: $(STAMP)  ## write docs/parameters.md from the schema and docs/commands.md from the commands
	$(BIN)/python -c 'from segpipe.params.writer import parameters_page; print(parameters_page(), end="")' > docs/parameters.md
	$(BIN)/python -c 'from segpipe.cli.reference import commands_page; print(commands_page(), end="")' > docs/commands.md

dashboard: $(STAMP)  ## show models, images and scores on http://127.0.0.1:8501
	$(RUN) python -m segpipe.cli.main dashboard

ui: $(STAMP)  ## show the runs in MLflow's pages
	@$(RUN) python -m segpipe.cli.main ui

bench: $(STAMP)  ## measure training, preparation, scoring and prediction on this machine
	$(RUN) python -m bench.training
	$(RUN) python -m bench.inference
	$(RUN) python -m bench.prepare
	$(RUN) python -m bench.scoring
	$(RUN) python -m bench.prediction

clean:  ## delete what the pipeline made here: data, models, scores, state; not .venv, downloads or the DVC cache
	rm -rf data/raw data/prepared data/report data/statistics models predictions metrics/*.json metrics/*.csv metrics/*.png metrics/report.html .segpipe/state .segpipe/profile .segpipe/preflight .segpipe/dashboard dvc_plots
