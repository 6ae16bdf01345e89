# The work of this project, by name. `make demo` and `make test` install what they need.

PYTHON ?= python3
AIRFLOW = 3.3
CONSTRAINTS = dev/constraints/airflow-$(AIRFLOW).txt
BIN = .venv/bin
INSTALLED = .venv/installed-airflow-$(AIRFLOW)
# Sphinx and this Airflow do not get on in one environment: each wants another docutils.
DOCS_BIN = .venv-docs/bin
DOCS_INSTALLED = .venv-docs/installed
SITE = build/docs
# In three processes, because tests often wait; each has an Airflow home of its own. The tests of a
# file stay together, and the files in their order: the slowest, which have few tests, would come
# last otherwise.
SIDE_BY_SIDE = --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# Each of the many processes of a test would compile our code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo dev install test test-whole test-oldest test-ui test-cluster test-kill docs api-diff \
  mutation bench

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(INSTALLED)  ## Run the main jobs against the sandbox in a real Airflow.
	@$(BIN)/python -m dev.scripts.demo

dev: $(INSTALLED)  ## A local Airflow with the sandbox, until Ctrl-C.
	@$(BIN)/python -m dev.scripts.dev

install: $(INSTALLED)-cluster $(DOCS_INSTALLED)  ## Install the environments; with --jobs side by side.

test-oldest: $(INSTALLED)  ## Run the tests on the oldest Airflow that we support.
	$(BIN)/nox --tags oldest

test: $(INSTALLED)  ## Format, lint, types, layers, and all tests with the coverage that is asked for.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term

test-whole: $(INSTALLED)  ## Test the wheel, the demo, every fault and other slow parts.
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m whole

mutation: $(INSTALLED)  ## See whether the tests notice mistakes in gates, claims and redaction.
	$(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

bench: $(INSTALLED)  ## Print what the provider costs, for docs/performance.md.
	@$(BIN)/python -m dev.benchmarks

docs: $(DOCS_INSTALLED)  ## Build the site in build/docs; a link inside it that leads nowhere is an error.
	@rm -rf $(SITE)
	@$(DOCS_BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs $(SITE)

api-diff: $(DOCS_INSTALLED)  ## List what would break users of the last release, or of main before it.
	$(DOCS_BIN)/griffe check airflow_provider_datafold \
	  --against $$(git describe --tags --abbrev=0 2>/dev/null || echo origin/main)

test-ui: $(INSTALLED)  ## Test Airflow's UI in a real browser.
	@dev/scripts/install_programs.sh chromium
	@$(BIN)/python -m pytest -m ui tests/system

test-cluster: $(INSTALLED)-cluster  ## Gates, monitors and changes on Airflow with Celery, with kills and a cut database.
	@dev/scripts/install_programs.sh redis-server postgresql
	@$(BIN)/python -m dev.harness cluster

test-kill: $(INSTALLED)-cluster  ## Gates whose processes are killed, which people stop and clear, and brief waits.
	@dev/scripts/install_programs.sh postgresql
	@$(BIN)/python -m dev.harness kills
	@$(BIN)/python -m dev.harness race

# A recipe: make an environment, where the machine has a Python that will do.
define VENV
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing Airflow and the tools into $(@D): about a minute."
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'  # --group
endef

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	$(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group dev --group lineage --group measure --constraint $(CONSTRAINTS)
	@touch $@

$(INSTALLED)-cluster: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group cluster --constraint $(CONSTRAINTS)
	@touch $@

$(DOCS_INSTALLED): pyproject.toml dev/constraints/docs.txt
	$(VENV)
	$(DOCS_BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group docs --constraint dev/constraints/docs.txt
	@touch $@
