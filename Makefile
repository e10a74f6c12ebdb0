# Every target makes .venv and installs what it needs; the second time there is nothing to install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --progress-bar off

.PHONY: demo test torture lint format bench clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Backlit needs Python 3.11 or later; this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

# A stamp for each set of extras, renewed when pyproject.toml changes.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "installing backlit[$*] into $(VENV) (only the first time) ..."
	@$(PIP) --editable '.[$*]'
	@touch $@

demo: $(VENV)/.installed-plot
	@$(BIN)/python scripts/demo.py

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -m 'not torture'

torture: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-bench
	@$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
