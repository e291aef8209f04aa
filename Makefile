# Every target runs in .venv, which bin/make-venv makes and keeps up to date. All paths are relative, so that a checkout
# may stand in a folder with spaces.
.POSIX:
MAKEFLAGS += --no-print-directory
PYTHON_DEV = .venv/bin/python

.PHONY: help test lab-test bench failures permissions kills fuzz perf perf-large docs pictures lint format venv \
	new-cause wheel archive krew-test

help:
	@echo 'make test      everything that needs no cluster and no root: linters, types, layers, tests'
	@echo 'make lab-test  the real program on a real cluster made here (root; Linux)'
	@echo 'make bench     injects every fault on real clusters and writes docs/benchmark.md; narrow it with'
	@echo '               CASES=ids CASES_FROM=file MATRIX=variants SEED=number NAME=name'
	@echo 'make failures  an API server that fails at every call in every way, in front of recordings; no cluster needed'
	@echo 'make permissions  every question with each right of the printed Roles taken away, on the cluster NAME that is up'
	@echo 'make kills     ends runs of every kind at random instants, on the cluster NAME that is up; RUNS=number'
	@echo 'make fuzz      100,000 inputs for each parser and the sanitiser; EXAMPLES=number'
	@echo 'make perf      measures the budgets: start, reads, memory against the size of a cluster'
	@echo 'make perf-large  the same question in a small cluster and in a very large one (root; Linux); SIZE=fraction'
	@echo 'make docs      writes what is made from the catalogue: docs/causes/, docs/catalogue.md and the like'
	@echo 'make new-cause CODE=code [FAMILY=module] [HOP=hop]  begins a cause: its words, its function, a fault, a twin'
	@echo 'make wheel     wheel and sdist in dist/;  make archive: the self-contained archive for this platform'
	@echo 'make krew-test installs, upgrades and removes the archive with a real krew (needs Go)'
	@echo 'make pictures  takes the pictures of the app for docs/screens'
	@echo 'make lint      linters, types and layers alone'
	@echo 'make format    formats the code'

venv:
	@bin/make-venv dev

lint: venv
	@$(PYTHON_DEV) -m ruff check --quiet .
	@$(PYTHON_DEV) -m ruff format --check --quiet .
	@$(PYTHON_DEV) -m mypy
	@.venv/bin/lint-imports --no-logo --no-cache

format: venv
	@$(PYTHON_DEV) -m ruff check --fix --quiet . || true
	@$(PYTHON_DEV) -m ruff format .

test: lint
	@$(PYTHON_DEV) -m pytest -n 2

lab-test: venv
	@$(PYTHON_DEV) -m tests.faults.smoke

bench: venv
	@CASES='$(CASES)' CASES_FROM='$(CASES_FROM)' MATRIX='$(MATRIX)' SEED='$(SEED)' NAME='$(NAME)' \
		$(PYTHON_DEV) -m tests.faults.bench

failures: venv
	@RECORDINGS='$(RECORDINGS)' JOBS='$(JOBS)' SAMPLE='$(SAMPLE)' SEED='$(SEED)' $(PYTHON_DEV) -m tests.failures.matrix

permissions: venv
	@NAME='$(NAME)' $(PYTHON_DEV) -m tests.faults.permissions

fuzz: venv
	@FUZZ="$${EXAMPLES:-100000}" $(PYTHON_DEV) -m pytest -n 2 --timeout=0 tests/unit/test_parsers.py tests/kube/test_text.py

kills: venv
	@RUNS='$(RUNS)' SEED='$(SEED)' NAME='$(NAME)' $(PYTHON_DEV) -m tests.faults.kills

perf: venv
	@$(PYTHON_DEV) -m tests.perf

perf-large: venv
	@SIZE='$(SIZE)' NAME='$(NAME)' $(PYTHON_DEV) -m tests.faults.large

docs: venv
	@$(PYTHON_DEV) -m tests.docs

pictures: venv
	@$(PYTHON_DEV) -m tests.tui.pictures

new-cause: venv
	@$(PYTHON_DEV) -m tests.newcause '$(CODE)' '$(FAMILY)' '$(HOP)'

wheel: venv
	@$(PYTHON_DEV) -m release wheel

archive: venv
	@$(PYTHON_DEV) -m release archive

krew-test: venv
	@$(PYTHON_DEV) -m pytest -q -rs -n 0 tests/release
