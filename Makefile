# Two commands do everything on a machine with Python 3.10 or later and make:
#   make serve    an example on http://127.0.0.1:8000
#   make test     all tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := greenuni tests examples benchmarks

.PHONY: help serve test acceptance check format docs bench clean help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp an extra: installed once, and again when pyproject.toml changes.
$(VENV)/.has-%: pyproject.toml | $(BIN)/python
	@echo "Installing greenuni[$*] into $(VENV) ..."
	$(PIP) install --editable '.[$*]'
	@touch $@

serve: $(VENV)/.has-examples ## serve the FastAPI example on http://127.0.0.1:8000
	$(BIN)/greenuni --chdir examples/fastapi_app main:app

test: $(VENV)/.has-test ## run every test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(PYTEST)

acceptance: $(VENV)/.has-test ## the system tests at full length: 30 s of load, 1 GiB bodies, 60 s requests
	GREENUNI_ACCEPTANCE=1 $(BIN)/python -m pytest -s -v tests/system

check: $(VENV)/.has-check $(VENV)/.has-test ## style, types and the architecture
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.has-check ## let ruff format and mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: $(VENV)/.has-examples ## render docs/settings.md from the settings table
	$(BIN)/python -m greenuni.config.reference > docs/settings.md

bench: $(BIN)/python ## CPU time per request beside the rivals, in one run
	$(BIN)/python benchmarks/run.py $(BENCH)

clean: ## remove what the targets above made
	rm -rf $(VENV) .bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache
