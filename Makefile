# Every target makes .venv and installs what it needs; the second time there is nothing to install.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --progress-bar off

.PHONY: demo lab test docs neighbours torture lint format bench clean

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

# The page in the browser, on your own machine alone.
lab: $(VENV)/.installed-web
	@$(BIN)/backlit lab

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -m 'not torture' -n 2 --dist loadgroup

# The site, into docs/_build/html: every lesson and every page with code is run, and a warning is an error.
docs: $(VENV)/.installed-docs
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The tests with Optuna, MLflow, Dask and pyarrow, which `make test` skips where they are not installed.
neighbours: $(VENV)/.installed-dev $(VENV)/.installed-neighbours
	@$(BIN)/python -m pytest tests/test_estimators_ecosystem.py tests/test_tuning.py tests/test_export_sklearn_onnx.py tests/test_export_onnx_tables.py

torture: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_typed.py

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The libraries that are compared fill a gigabyte: they have an environment of their own.
bench:
	@$(MAKE) --no-print-directory VENV=.venv-bench .venv-bench/.installed-bench
	@.venv-bench/bin/python benchmarks/run.py $(BENCH)

clean:
	rm -rf $(VENV) .venv-bench build dist docs/_build docs/api/generated .pytest_cache .mypy_cache .ruff_cache
