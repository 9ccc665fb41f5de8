# make demo     install and run the main job on real input
# make test     install the test extras and run the whole suite
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test check format bench bench-pretrain bench-engine bench-accelerate bench-kernels bench-serve docs clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 16

# One stamp for each set of extras: installing again only when the project or its pins changed.
.venv/%.stamp: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

demo: .venv/train.stamp    ## the packaged model at work: masks filled, the standard library searched; ARGS=--train trains one live
	$(BIN)/modernbert demo $(ARGS)

test: .venv/test.stamp     ## the whole suite; no GPU, no network, nothing outside this folder
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 40 $(ARGS)

check: .venv/dev.stamp     ## style, types, floors, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/typos

format: .venv/dev.stamp    ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/test.stamp    ## encode against stock transformers, alternating; writes docs/benchmarks.md
	$(BIN)/python benchmarks/encode.py $(ARGS)

bench-pretrain: .venv/test.stamp .venv/finetune.stamp    ## pre-train against transformers' Trainer, alternating; writes docs/benchmarks-pretrain.md
	$(BIN)/python benchmarks/pretrain.py $(ARGS)

bench-engine: .venv/test.stamp    ## texts to vectors against sentence-transformers, alternating; writes docs/benchmarks-engine.md
	$(BIN)/python benchmarks/engine.py $(ARGS)

bench-accelerate: .venv/test.stamp    ## accelerated against stock, every head and family; writes docs/benchmarks-accelerate.md
	$(BIN)/python benchmarks/accelerated.py $(ARGS)

bench-kernels: .venv/test.stamp    ## attention against the matrix-multiply rate; writes docs/benchmarks-kernels.md
	$(BIN)/python benchmarks/kernels.py $(ARGS)

bench-serve: .venv/test.stamp    ## requests a second at equal p99 beside other servers; writes docs/benchmarks-serve.md
	$(BIN)/python benchmarks/serve.py $(ARGS)

docs: .venv/test.stamp     ## run every command and block that the documentation shows
	$(BIN)/python -m pytest tests/docs $(ARGS)

clean:           ## remove what was installed and built, never what was trained
	rm -rf .venv dist build .pytest_cache .ruff_cache
