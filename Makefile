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
# Who imports the package imports Airflow, which makes files in its home.
APART = AIRFLOW_HOME=$(CURDIR)/build/airflow-home AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
PRISM = .venv/prism-5.14.2
# In three processes, because tests often wait; each has an Airflow home of its own. The tests of a
# file stay together, and the files in their order: the slowest, which have few tests, would come
# last otherwise.
SIDE_BY_SIDE = --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# Each of the many processes of a test would compile our code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo dev install test test-all test-oldest test-next test-contract check unit test-whole \
  test-ui test-cluster test-kill reliability reliability-all mutation coverage-page public-names bench docs \
  api-diff contract constraints clean

demo: $(INSTALLED)  ## Run the main jobs against the sandbox in a real Airflow.
	@$(BIN)/python -m dev.scripts.demo

dev: $(INSTALLED)  ## A local Airflow with the sandbox, until Ctrl-C.
	@$(BIN)/python -m dev.scripts.dev

install: $(INSTALLED)-cluster $(DOCS_INSTALLED)  ## Install the environments; with --jobs side by side.

test: check unit  ## Run the checks and all tests.

test-all: test test-whole  ## Run the tests on each Airflow from 2.11 on, too; `nox --list` names them.
	$(BIN)/nox

test-oldest: $(INSTALLED)  ## Run the tests on the oldest Airflow that we support.
	$(BIN)/nox --tags oldest

test-next: $(INSTALLED)  ## Run the tests on the next Airflow, a pre-release.
	$(BIN)/nox --tags next

test-contract: $(INSTALLED) $(PRISM)  ## Send each operation through Prism, which compares it with the contract.
	PRISM=$(PRISM)/node_modules/.bin/prism $(BIN)/python -m pytest -m contract tests/api

check: $(INSTALLED)  ## Format, lint, types and layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(INSTALLED)  ## Run all tests, with the coverage that is asked for.
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term

test-whole: $(INSTALLED)  ## Test the wheel, the demo, the benchmarks, every fault and other slow parts.
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m whole

reliability: $(INSTALLED)  ## Measure all faults again and compare with docs/reliability.md.
	$(BIN)/python -m dev.faults --check

reliability-all: $(INSTALLED)  ## The same with each Airflow from 2.11 on, without the page.
	$(BIN)/nox --keywords reliability

mutation: $(INSTALLED)  ## See whether the tests notice mistakes: make mutation [MUTATION="--measured file.py"].
	@$(BIN)/python -m dev.mutation $(MUTATION)

bench: $(INSTALLED)  ## Measure what the provider costs, and write docs/performance.md.
	@$(BIN)/python -m dev.benchmarks

docs: $(DOCS_INSTALLED)  ## Build the site in build/docs; a link inside it that leads nowhere is an error.
	@rm -rf $(SITE)
	@$(DOCS_BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs $(SITE)

api-diff: $(DOCS_INSTALLED)  ## Compare the public names and arguments with those of the last release.
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null) || { echo "No release to compare with."; exit 0; }; \
	  $(DOCS_BIN)/griffe check airflow_provider_datafold --against $$tag

test-ui: $(INSTALLED) docs  ## Test Airflow's UI, and the site, in a real browser.
	@dev/scripts/install_programs.sh chromium
	@$(BIN)/python -m pytest -m ui tests/system

test-cluster: $(INSTALLED)-cluster  ## Gates, monitors and changes on Airflow with Celery, with kills and a cut database.
	@dev/scripts/install_programs.sh redis-server postgresql
	@$(BIN)/python -m dev.harness cluster

test-kill: $(INSTALLED)-cluster  ## Gates whose processes are killed, and which people stop and clear.
	@dev/scripts/install_programs.sh postgresql
	@$(BIN)/python -m dev.harness kills

coverage-page: $(INSTALLED)  ## Write docs/coverage.md from the code.
	$(APART) $(BIN)/python -m dev.scripts.api_coverage

public-names: $(INSTALLED)  ## Write tests/public_names.txt from the code.
	$(APART) $(BIN)/python -m dev.scripts.public_names

contract: $(INSTALLED)  ## Take shapes and names from the published contract: make contract CONTRACT=file.
	$(BIN)/python -m dev.scripts.contract $(CONTRACT)
	$(BIN)/ruff format -q airflow_provider_datafold/redaction/names.py

constraints:  ## Regenerate the constraint files; needs uv on PATH.
	dev/scripts/compile_constraints.sh

clean:  ## Remove what the other targets made.
	rm -rf .venv .venv-docs .mutation .nox build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

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
	  --editable . --group dev --group lineage --group bench --constraint $(CONSTRAINTS)
	@touch $@

$(PRISM): | $(INSTALLED)
	@dev/scripts/install_programs.sh npm
	npm install --prefix $@ --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
	  @stoplight/prism-cli@5.14.2 || { rm -rf $@; exit 1; }

$(INSTALLED)-cluster: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group cluster --constraint $(CONSTRAINTS)
	@touch $@

$(DOCS_INSTALLED): pyproject.toml dev/constraints/docs.txt
	$(VENV)
	$(DOCS_BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable . --group docs --constraint dev/constraints/docs.txt
	@touch $@
