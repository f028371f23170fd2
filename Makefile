PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
comma := ,
C_SOURCES := $(wildcard csrc/*.[ch] csrc/CMakeLists.txt)

.PHONY: help install native search test sanitize lint bench bench-optimizers clean

help:
	@echo "make search   find a front on scikit-learn's digits and write its report (about three minutes)"
	@echo "make test     run the tests"
	@echo "make native   build the C core in place, after a change in csrc/"
	@echo "make sanitize run the C tests under the address and undefined-behaviour sanitizers"
	@echo "make lint     ruff and mypy"
	@echo "make bench    run the benchmarks that need no data files; they print JSON"
	@echo "make bench-optimizers  a small comparison of optimizers in simulated time (under ten minutes)"

# The pinned torch comes first and by itself: this very pin takes the CPU build where one is provided,
# while a range would pull gigabytes of CUDA. The package itself declares an ordinary range.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0

$(VENV)/.core: pyproject.toml $(C_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[smac,codecarbon,onnx,dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

install: $(VENV)/.core

# An install without a compiler is pure Python and says so; here a core that does not compile is an error.
native: $(VENV)/.dev
	$(BIN)/cmake -S csrc -B build/native
	$(BIN)/cmake --build build/native --parallel
	$(BIN)/cmake --install build/native

sanitize: $(VENV)/.dev
	$(BIN)/cmake -S csrc -B build/sanitize -DGREENSHIFT_SANITIZE=ON -DGREENSHIFT_TESTS=ON
	$(BIN)/cmake --build build/sanitize --parallel
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure

search: $(VENV)/.core
	$(BIN)/greenshift search --data digits --model tiny_cnn --space paper --fidelity epochs \
	    --target asic-45nm --objectives error,energy_j,size_bytes \
	    --workers 2 --seed 0 --budget 200trials,120s --store runs/digits
	$(BIN)/greenshift report runs/digits

test: $(VENV)/.dev native
	GREENSHIFT_REQUIRE_NATIVE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/training_speed.py --rounds 5
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/loop_overhead.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/inference.py --rounds 7

# LCBench takes part if GREENSHIFT_YAHPO names the folder of its surrogate.
BENCH_PROBLEMS := table-digits,momf-park,pymoo-zdt1$(if $(wildcard $(GREENSHIFT_YAHPO)/model.onnx),$(comma)lcbench-168868)

bench-optimizers: $(VENV)/.bench
	$(BIN)/python -m benchmarks.optimizers run --problems $(BENCH_PROBLEMS) \
	    --optimizers freezethaw,smac,hyperband,random,optuna-gp --seeds 0-1 --rules resume --limit 10 --jobs 2 \
	    --out build/optimizers/runs.jsonl
	$(BIN)/python -m benchmarks.optimizers summarise build/optimizers/runs.jsonl --limit 10 --out build/optimizers

clean:
	rm -f src/greenshift/deploy/libgreenshift.*
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
