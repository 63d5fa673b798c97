VENV := .venv
BIN := $(VENV)/bin
IDS ?= 20000
ROUNDS ?= 5

# The first Python that is new enough: that of the environment if there is one, else of the path.
IS_NEW := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in $(BIN)/python python3 python3.14 python3.13 python3.12 python3.11; do \
  $$each -c '$(IS_NEW)' >/dev/null 2>&1 && echo $$each && break; done)

# Another project's modules don't belong into what is installed or tested here.
unexport PYTHONPATH PYTHONHOME

# What is compiled is kept, or each of the hundreds of processes of the tests would do it again.
unexport PYTHONDONTWRITEBYTECODE

# Commands are tested as their users run them.
unexport PYTHONUNBUFFERED

INSTALL = @python="$(PYTHON)"; \
  if [ -z "$$python" ]; then \
    echo "cxai-worker needs Python 3.11 or newer, and neither python3 nor python3.11 to python3.14 is one. Install it, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; \
  elif ! command -v "$$python" >/dev/null; then \
    echo "There is no $$python. Name a Python of version 3.11 or newer: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; \
  elif ! "$$python" -c '$(IS_NEW)'; then \
    echo "cxai-worker needs Python 3.11 or newer, and $$python is $$("$$python" --version 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; \
  fi; \
  "$$python" requirements/install.py "$(VENV)"

.PHONY: help demo demo-cluster test cover soak soak-cluster fuzz bench promise settings check lock clean run-set dev-set

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: run-set  ## Watch a whole export against the built-in simulator: no token, no network
	rm -rf demo-export
	$(BIN)/cxai demo --output demo-export

demo-cluster: dev-set  ## Watch three workers share an export, one of them killed in the middle
	PYTHONPATH=tests:. $(BIN)/python -m demo.cluster

# Two more than there are processors, since many tests wait for a server, a signal or a moment.
test: dev-set  ## Run the tests
	$(BIN)/pytest --numprocesses $$(( $$(getconf _NPROCESSORS_ONLN) + 2 )) --dist worksteal

check: dev-set  ## Lint and type-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

cover: dev-set  ## Show that every branch of the pure core and the pipeline is tested
	$(BIN)/pytest -q tests/unit tests/contract --cov=cxai --cov-report=
	$(BIN)/coverage report --fail-under=100 --include='worker/cxai/core/*,worker/cxai/policy/*,worker/cxai/governor/*'

soak: dev-set  ## Kill an export of 200,000 IDs fifty times while everything fails, then reconcile it
	$(BIN)/python tests/soak.py

soak-cluster: STORE ?= volume
soak-cluster: dev-set  ## Kill and freeze four workers, and kill their engine, then reconcile (STORE=s3: in S3)
	PYTHONPATH=. $(BIN)/python tests/soak_cluster.py --ids $(IDS) --store $(STORE)

fuzz: MINUTES ?= 1
fuzz: dev-set  ## Send damaged bodies all the way to their lines, for MINUTES=1
	PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES)

bench: dev-set  ## Measure the worker beside its peers and write docs/benchmarks.md
	PYTHONPATH=tests $(BIN)/python -m bench $(SECTION) --ids $(IDS) --rounds $(ROUNDS)

promise: dev-set  ## Write docs/promise.md from the tests
	PYTHONPATH=tests $(BIN)/python -m support.promise

settings: dev-set  ## Write config/default.toml and docs/settings.md from the definitions
	PYTHONPATH=tests $(BIN)/python -m support.settings_files

COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

lock: dev-set  ## Pin newer versions of all dependencies
	$(COMPILE) pyproject.toml --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --all-extras --constraint requirements/run.txt --output-file requirements/extras.txt
	$(COMPILE) --group build --constraint requirements/run.txt --output-file requirements/build.txt
	$(COMPILE) pyproject.toml --all-extras --group dev --group build --group lock --constraint requirements/extras.txt \
	  --constraint requirements/build.txt --output-file requirements/dev.txt

clean:  ## Remove what the other commands made
	rm -rf $(VENV) .bench demo-export demo-cluster fuzz-failure.hex .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

run-set:
	$(INSTALL) run

dev-set:
	$(INSTALL) dev
