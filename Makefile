VENV := .venv
PYTHON := $(VENV)/bin/python
CASES ?= 102000
OPERATIONS ?= 1000000
SECONDS ?= 600
.PHONY: run test fuzz soak lint style types imports bench guests images install clean help

run: $(VENV)/.installed ## open the workstation
	$(VENV)/bin/shyper-tui

test: $(VENV)/.installed-dev ## run the tests
	$(PYTHON) -m pytest -n 2

fuzz: $(VENV)/.installed-dev ## random input at every door of the engine, more than 100 000 cases, and 1 000 000 native operations
	SHYPER_DEBUG_CORE=1 SHYPER_FUZZ_CASES=$(CASES) SHYPER_FUZZ_OPERATIONS=$(OPERATIONS) $(PYTHON) -m pytest tests/fuzz -q -n 2 --timeout 3600

soak: $(VENV)/.installed-dev ## three guests under load for SECONDS (600) of virtual time; needs the Linux images
	$(PYTHON) -m tests.soak $(SECONDS)

lint: style types imports ## linters, types, import contracts

style: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .

types: $(VENV)/.installed-dev
	$(VENV)/bin/mypy

imports: $(VENV)/.installed-dev
	$(VENV)/bin/lint-imports

images: $(VENV)/.installed ## fetch Debian's Linux for the managing VM and the guests
	$(VENV)/bin/shyper-tui images fetch

guests: $(VENV)/.installed-dev ## build the embedded guests and the bench programs again
	$(PYTHON) guests/build.py

install: $(VENV)/.installed ## only install into .venv

bench: $(VENV)/.installed ## measure, compared with QEMU where it is installed
	$(VENV)/bin/shyper-tui bench

$(VENV)/bin/python:
	python3 -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(PYTHON) -m pip install --quiet --retries 5 -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PYTHON) -m pip install --quiet --retries 5 -e '.[dev]'
	touch $@

clean: ## remove .venv
	rm -rf $(VENV)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)
