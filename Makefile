# Every target sets itself up in $(VENV): python3 with venv is all that it needs.
# Set-up runs once, and again when pyproject.toml changes.

PYTHON = python3
VENV = .venv
ARGS =
# How pytest runs the whole suite: on every core, and who is done first helps the others.
# No test needs the machine for itself. A part of the suite starts sooner without this.
WHOLE_SUITE = --numprocesses=auto --dist=worksteal
VERSIONS = 3.11 3.12 3.13 3.14 3.15

BIN = $(VENV)/bin
INSTALL = -m pip -qq --disable-pip-version-check install
PIP = $(BIN)/python $(INSTALL)
# pip reads dependency groups from 25.1 on; the pip inside a new venv may be older.
NEW_PIP = $(PIP) --upgrade 'pip>=25.1'

export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.NOTPARALLEL:
.PHONY: help demo test check coverage bench pictures docs test-all package test-wheel clean
.DEFAULT_GOAL = help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 12

demo: $(VENV)/ready ## the echo and the chat server with several clients, as a transcript
	@$(BIN)/python -m trio_tcp demo $(ARGS)

test: $(VENV)/ready-test ## the whole suite; make test ARGS="-k lines" for a part of it
	$(BIN)/python -m pytest $(or $(ARGS),$(WHOLE_SUITE))

check: $(VENV)/ready-check $(VENV)-wheel/ready ## ruff, flake8-async, mypy, pyright, the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/flake8
	$(BIN)/mypy
	$(BIN)/pyright
	PATH="$(CURDIR)/$(VENV)-wheel/bin:$$PATH" $(BIN)/pyright --verifytypes trio_tcp --ignoreexternal
	$(BIN)/lint-imports

coverage: $(VENV)/ready-test ## the suite, and the lines that it does not reach
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

# Each page is read anew: a link to a page that is new, or gone, is in pages that are not.
docs: $(VENV)/ready-docs ## the site, into build/docs; a broken link or reference fails
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky \
		--fresh-env --builder html docs build/docs $(ARGS)
	@echo "The site is in $(CURDIR)/build/docs/index.html"

bench: $(VENV)/ready-bench ## ours beside others, into benchmarks/report.md: 5 minutes
	$(BIN)/python -m benchmarks $(ARGS)

pictures: $(VENV)/ready-test ## every picture on the pages, drawn anew: 3 minutes; tmux, Chromium
	$(BIN)/python -m tests.docs

test-all: ## the suite on every Python from 3.11 that is found
	@missing= ; failed= ; \
	for version in $(VERSIONS); do \
		if python$$version -c 'import ensurepip, venv' >/dev/null 2>&1; then \
			echo "== Python $$version"; \
			$(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || \
				failed="$$failed $$version"; \
		else \
			missing="$$missing $$version"; \
		fi; \
	done; \
	echo "== not found:$${missing:- none}; failed:$${failed:- none}"; \
	test -z "$$failed"

package: $(VENV)/ready-package ## wheel and sdist into dist/, checked; each extra tried alone
	$(BIN)/python -m tests.package

# The sdist's tests, where of the package there is nothing but what the wheel installed.
test-wheel: $(VENV)/ready-package $(VENV)-installed/bin/python ## the suite against the wheel
	rm -rf build/suite
	$(BIN)/python -m build --outdir build/suite .
	mkdir build/suite/tree
	tar -xzf build/suite/*.tar.gz --strip-components=1 -C build/suite/tree
	rm -r build/suite/tree/trio_tcp build/suite/tree/pytest_trio_tcp.py
	$(VENV)-installed/bin/python $(INSTALL) --upgrade 'pip>=25.1'
	$(VENV)-installed/bin/python $(INSTALL) --force-reinstall --no-deps build/suite/*.whl
	$(VENV)-installed/bin/python $(INSTALL) build/suite/*.whl --group test
	cd build/suite/tree && $(abspath $(VENV))-installed/bin/python -m pytest $(or $(ARGS),$(WHOLE_SUITE))

clean: ## remove all that these targets made
	rm -rf .venv .venv-* build dist .coverage .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new venv, after a look at the Python that is to make it.
define MAKE_VENV
@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: install Python 3.11 or later with its venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or later: install one and name it, as in: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)." >&2; exit 1; }
@echo "Setting up $(@D:/bin=) (once)."
@$(PYTHON) -m venv --clear $(@D:/bin=)
endef

$(VENV)/bin/python:
	$(MAKE_VENV)

$(VENV)-wheel/bin/python:
	$(MAKE_VENV)

$(VENV)-installed/bin/python:
	$(MAKE_VENV)

$(VENV)/ready: $(VENV)/bin/python pyproject.toml
	@$(NEW_PIP)
	@$(PIP) --editable '.[cli]'
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	@$(PIP) --group test
	@touch $@

$(VENV)/ready-bench: $(VENV)/ready
	@$(PIP) --group bench
	@touch $@

$(VENV)/ready-docs: $(VENV)/ready
	@$(PIP) --editable '.[cli,monitoring,msgspec,redis,testing]' --group docs
	@touch $@

$(VENV)/ready-check: $(VENV)/ready-test
	@$(PIP) --group lint
	@touch $@

$(VENV)/ready-package: $(VENV)/bin/python pyproject.toml
	@$(NEW_PIP)
	@$(PIP) --group package
	@touch $@

# What users install, from a wheel: verifytypes judges a package that stands apart
# from its source tree.
$(VENV)-wheel/ready: $(VENV)-wheel/bin/python pyproject.toml $(shell find trio_tcp -type f -not -name '*.pyc')
	@$(VENV)-wheel/bin/python $(INSTALL) --force-reinstall '.[cli,monitoring,msgspec]'
	@touch $@
