# The commands of this project. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A machine without an NVIDIA GPU gets by with the CPU build of torch, where pip can find one: gigabytes less.
TORCH_CPU ?= torch==2.13.0

.PHONY: help install demo test test-full check check-code check-tests bench format reference clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: $(VENV)/.installed  ## make the virtual environment with everything in it

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	if ! command -v nvidia-smi >/dev/null; then $(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet '$(TORCH_CPU)' || true; fi
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: install  ## from nothing to scores and a prediction on a held-out video
	$(BIN)/videobert demo demo
	$(BIN)/videobert evaluate recipes/demo.yaml
	$(BIN)/videobert predict demo/videos/test-000.mp4 --model runs/demo

check: install  ## formatting, lint, types, import contracts, fast tests: under two minutes
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target check-code check-tests

check-code:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check-tests:
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not full and not gpu"

test: install  ## every test but the longest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not full and not gpu"

test-full: install  ## every test that this machine can run, the proofs of minutes and Ray's among them
	$(BIN)/pip install --quiet --editable '.[dev,ray,hdf5,asr,language,tensorboard,wandb,sweep]'
	$(BIN)/python -m pytest

bench: install  ## side-by-side speed against peers, printed as ratios
	for script in $$(grep -l __main__ benchmarks/*.py); do $(BIN)/python $$script || exit 1; done

format: install  ## put the code in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: install  ## regenerate docs/recipes.md and recipes/recipe.schema.json from the options
	$(BIN)/python -m videobert_cli.recipe.reference

clean:  ## remove what the build and the tools left; runs and the demo corpus stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
