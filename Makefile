# Two commands do everything on a machine with Python 3.10 or later and make:
#   make serve    three applications on http://127.0.0.1:8000
#   make test     all tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Three for two cores: much of what the system tests do is to wait.
TEST   := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile
SOURCES := setup.py greenuni tests examples benchmarks

.PHONY: help serve build test test-pure acceptance check format docs clean
.PHONY: bench bench-behaviour bench-bridge bench-websocket bench-smoke bench-render bench-profile
.PHONY: fuzz-minute fuzz asan autobahn

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp an extra: installed once, and again when pyproject.toml changes.
$(VENV)/.has-%: pyproject.toml | $(BIN)/python
	@echo "Installing greenuni[$*] into $(VENV) ..."
	GREENUNI_PURE=1 $(PIP) install --editable '.[$*]'
	@touch $@

# Compiles what has changed, in place. Without a compiler it says so and goes on with the sources.
build: $(VENV)/.has-build ## compile the hot modules, where there is a C compiler
	$(BIN)/python setup.py -q build_ext --inplace

serve: $(VENV)/.has-examples build ## serve Flask, Django and FastAPI together on http://127.0.0.1:8000
	$(BIN)/greenuni --chdir examples/hybrid --config examples/hybrid/greenuni.toml

test: $(VENV)/.has-test build ## run every test
	$(TEST) $(PYTEST)

test-pure: $(VENV)/.has-test ## run what the compiled modules do from their Python sources
	GREENUNI_PURE=1 $(TEST) tests/http tests/wsgi tests/asgi tests/system/test_corpus.py tests/arbiter/test_scoreboard.py $(PYTEST)

fuzz-minute: $(VENV)/.has-test build ## compare what is compiled with its sources and h11, on new random examples
	$(BIN)/python -m tests.fuzz.minute $(or $(SECONDS),60)

fuzz: $(VENV)/.has-test $(VENV)/.has-build $(VENV)/.has-fuzz ## the same, guided by coverage, with clang: make fuzz SECONDS=600
	$(BIN)/python -m tests.fuzz.guided $(or $(SECONDS),600)

asan: $(VENV)/.has-test $(VENV)/.has-build ## run the tests of the wire with AddressSanitizer and UBSan
	$(BIN)/python -m tests.fuzz.sanitized $(PYTEST)

autobahn: $(VENV)/.has-test build ## Autobahn's WebSocket test suite on all loops; needs a CPython 2.7, takes half an hour
	$(BIN)/python -m tests.autobahn.run $(AUTOBAHN)

acceptance: $(VENV)/.has-test build ## the system tests at full length: 30 s of load, 1 GiB bodies, 60 s requests
	GREENUNI_ACCEPTANCE=1 $(BIN)/python -m pytest -s -v tests/system

check: $(VENV)/.has-check $(VENV)/.has-test build ## style, types and the architecture
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.has-check ## let ruff format and mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: $(VENV)/.has-examples ## render docs/settings.md from the settings table
	$(BIN)/python -m greenuni.config.reference > docs/settings.md

bench: $(BIN)/python ## CPU time, latency and memory beside the rivals; renders benchmarks/README.md
	$(BIN)/python benchmarks/run.py --into benchmarks $(BENCH)

bench-websocket: $(BIN)/python ## what a WebSocket costs beside the rivals; renders benchmarks/websocket.md
	$(BIN)/python benchmarks/websocket.py --into benchmarks/websocket.md $(BENCH)

bench-smoke: build ## a short comparison for CI: prints ratios, fails on errors only
	$(BIN)/python benchmarks/run.py --smoke

bench-bridge: $(BIN)/python ## what the adapter costs beside a2wsgi and asgiref; renders benchmarks/bridge.md
	$(BIN)/python benchmarks/bridge.py --into benchmarks/bridge.md $(BENCH)

bench-behaviour: $(BIN)/python ## clients that go and servers that end, beside the rivals; renders docs/behaviour.md
	PYTHONPATH=benchmarks $(BIN)/python benchmarks/behaviour/run.py --into docs/behaviour.md $(BENCH)

bench-render: $(BIN)/python ## benchmarks/README.md again, from the results of the last run
	$(BIN)/python benchmarks/render.py

bench-profile: $(BIN)/python ## benchmarks/profiles: where the time goes; WORKLOAD=hello for one
	$(BIN)/python benchmarks/profiling.py $(WORKLOAD)

clean: ## remove what the targets above made
	rm -rf $(VENV) .bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find greenuni -name '*.so' -delete
