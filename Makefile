PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
IDS ?= 20000
ROUNDS ?= 5

.PHONY: demo test cover soak fuzz bench promise check lock clean

demo: $(READY)  ## Watch a whole export against the built-in simulator: no token, no network
	rm -rf demo-export
	$(BIN)/cxai demo --output demo-export

test: $(READY)  ## Run the tests
	$(BIN)/pytest --numprocesses auto --dist worksteal

soak: $(READY)  ## Kill an export of 200,000 IDs fifty times while all goes wrong, then reconcile it
	$(BIN)/python tests/soak.py

fuzz: MINUTES ?= 1
fuzz: $(READY)  ## Send bent and damaged bodies all the way to their lines, for MINUTES=1
	PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES)

cover: $(READY)  ## Show that every branch of the pure core and the pipeline is tested
	$(BIN)/pytest -q tests/unit tests/contract --cov=worker --cov-report=
	$(BIN)/coverage report --fail-under=100 --include='worker/domain/*,worker/pipeline.py,worker/backlog.py,worker/batch.py,worker/health.py'

check: $(READY)  ## Lint and type-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) $(BENCH_READY)  ## Measure the worker beside its peers and write docs/benchmarks.md
	$(BIN)/python -m bench --ids $(IDS) --rounds $(ROUNDS)

promise: $(READY)  ## Write docs/promise.md anew, from what the tests say
	PYTHONPATH=tests $(BIN)/python -m support.promise

lock: $(READY)  ## Make a newer set of pinned dependencies
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements/run.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --group dev --group tool \
	  --constraint requirements/run.txt --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group bench --output-file requirements/bench.txt

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(BENCH_VENV) .bench demo-export fuzz-failure.hex .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("cxai-worker needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Without them, `make bench` says in its table that these peers are missing.
$(BENCH_READY): requirements/bench.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt \
	  && touch $@ || echo "requests and Scrapy could not be installed, and won't take part."
