PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: demo test bench format clean

demo: .venv/demo-installed
	$(BIN)/jaxviz demo --out out

test: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile --max-worker-restart 0

bench: .venv/bench-installed
	$(BIN)/python -m benchmarks --out out/bench

format: .venv/test-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

.venv/demo-installed: pyproject.toml .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	touch $@

.venv/test-installed: pyproject.toml .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[demo]" --group dev
	touch $@

.venv/bench-installed: pyproject.toml .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[demo,bench]"
	touch $@

clean:
	rm -rf .venv out
