# `make` says what there is. The README's commands work without make.
BIN := .venv/bin

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv: pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch .venv

demo: .venv ## Run the demo
	$(BIN)/bridge demo

test: .venv ## Run the tests
	$(BIN)/pytest -n 4 --dist loadfile

check: .venv ## Lint, types and tests: what CI runs
	.ci/run

format: .venv ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help demo test check format clean
