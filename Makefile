# make demo | test | conformance | compare | lint | quick | clean. Everything is set up in .venv on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test conformance compare compare-cores quick lint install qemu clean

help:
	@echo 'make demo    compile and run a real OCR detector and a page-orientation classifier, here and on emulated arm64'
	@echo 'make test    everything that a change must pass: ruff, mypy, import-linter, the whole test suite'
	@echo 'make conformance  the test cases of the ONNX standard, compiled and run: a table of what passes, an op a line'
	@echo 'make compare the same models under ONNX Runtime, OpenVINO, LiteRT, ncnn and MNN: times and memory, in turns'
	@echo 'make compare-cores  the same on arm64 cores: instructions counted under qemu, cycles modelled (takes hours)'
	@echo 'make quick   the tests that take seconds'
	@echo 'make lint    ruff, mypy and import-linter only'
	@echo 'make install .venv with edgec (editable) and all development tools'
	@echo 'make clean   remove what make built, .venv included'

demo: $(VENV)/.demo
	@$(MAKE) --silent qemu >/dev/null 2>&1 || true # without it the demo says how to get it, and runs the rest
	$(BIN)/python -m edgec.benchmarks.demo build/demo

test: lint qemu
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

conformance: $(VENV)/.demo qemu
	$(BIN)/python -m edgec.benchmarks.conformance --jobs $(JOBS)
	$(BIN)/python -m edgec.benchmarks.conformance --jobs $(JOBS) --device qemu:cortex-a76 --sample 150

compare: $(VENV)/.dev
	$(BIN)/python -m edgec.benchmarks.compare

compare-cores: $(VENV)/.dev qemu
	$(BIN)/python -m edgec.benchmarks.compare_cores --jobs $(JOBS)

quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m 'not slow'

lint: $(VENV)/.dev build/package/edgec
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

install: $(VENV)/.dev

# The stamps lie in the environment that they speak of.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(PIP) install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'edgec needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# mypy and the repository root being a package: see pyproject.toml.
build/package/edgec:
	@mkdir -p build/package
	@ln -sfn ../.. $@

# The emulator, a C library for it, and llvm-mca, of which any release from 17 on will do.
ARM_PACKAGES = qemu-user libc6-arm64-cross \
	$$(apt-cache search --names-only '^llvm-(1[7-9]|2[0-9])$$' | cut -d' ' -f1 | sort -V | tail -1)

qemu:
	@{ command -v qemu-aarch64 && ls /usr/aarch64-linux-gnu/lib/libc.so.6 && \
		ls /usr/bin/llvm-mca-1[7-9] /usr/bin/llvm-mca-2[0-9] | grep -q .; } >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $(ARM_PACKAGES) >/dev/null; \
	else \
		echo "arm64 code runs here under an emulator; install it with: sudo apt-get install -y --no-install-recommends $(ARM_PACKAGES)"; exit 1; \
	fi

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
