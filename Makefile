# Two commands: `make demo` and `make test`. Both first make the environment in .venv, once.

PYTHON ?= python3
VENV ?= .venv
VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])")
CONSTRAINTS := constraints/python-$(VERSION).txt
BIN := $(VENV)/bin
CORES ?= 2
# The interpreter of a version, by its name or pyenv's; empty if there is none.
python_of = $(shell for python in python$(1) $$HOME/.pyenv/versions/$(1).*/bin/python; do $$python -c "" 2> /dev/null && echo $$python && break; done)
OTHER_PYTHONS := 3.12 3.13

# Numerics take every core they see, and a busy machine then crawls: each job says how many it wants.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: demo docs test test-core wheels test-long test-faults test-fuzz test-slurm test-cloud nightly lint format setup reference constraints clean

demo: $(if $(wildcard $(VENV)/.ready),$(VENV)/.ready,$(VENV)/.demo) ## The whole pipeline on the synthetic network, and its report
	$(BIN)/pickflow run config/config.yaml --cores $(CORES) -- --quiet host rules
	@$(BIN)/pickflow report demo

test: $(VENV)/.ready lint test-core ## Formatting, lint, types, and all tests
	$(BIN)/pytest -n $(CORES)

# The core alone, on the other Pythons that are here: torch and what needs it are several GB for each of them.
CORE_TESTS := $(addprefix tests/unit/test_,codes.py config.py effects.py grid.py layout.py run_lock.py students.py travel_time_files.py windows.py) \
	tests/property/test_travel_time_invariants.py
test-core: $(foreach version,$(OTHER_PYTHONS),$(if $(call python_of,$(version)),$(VENV)-core/$(version))) ## Tests of the core, on Python 3.12 and 3.13 where they are present
	for python in $(addsuffix /bin/python,$^); do $$python -m pytest $(CORE_TESTS) || exit 1; done

$(VENV)-core/%: pyproject.toml constraints/python-%.txt
	$(call python_of,$*) -m venv $@
	$@/bin/pip install --quiet --constraint constraints/python-$*.txt --editable . hypothesis pytest pytest-timeout pytest-xdist
	touch $@

wheels: $(VENV)/.ready ## The wheel of this platform, for every Python 3, checked by auditwheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/auditwheel repair --wheel-dir dist dist/pickflow-*-linux_*.whl && rm dist/pickflow-*-linux_*.whl

# What takes longer than the tests of every change: a whole campaign's worth of failures, thousands of damaged files, a real SLURM,
# an emulated cloud.
nightly: test test-long test-faults test-fuzz test-slurm test-cloud $(foreach version,$(OTHER_PYTHONS),$(if $(call python_of,$(version)),test-python-$(version))) ## Everything; about an hour, as root

test-long: $(VENV)/.ready ## Tests that are marked nightly, and those of invariants on other examples than before
	$(BIN)/pytest -m nightly -n $(CORES)
	$(BIN)/pytest -m "not nightly" --hypothesis-profile random -n $(CORES) $$(grep -lr "^from hypothesis" tests --include=test_*.py)

test-python-%: ## All unit tests on another Python, with everything installed (several GB), such as test-python-3.13
	$(MAKE) PYTHON=$(call python_of,$*) VENV=.venv-$* .venv-$*/.ready
	.venv-$*/bin/pytest tests/unit tests/property -n $(CORES)

test-faults: $(VENV)/.ready ## Runs that are killed, starved, corrupted; ends with the number of faults and of lost rows
	PICKFLOW_FAULTS=1 $(BIN)/pytest tests/faults -n $(CORES)

test-fuzz: $(VENV)/.ready ## Thousands of damaged files; ends with the number of crashes, hangs and rows unaccounted for
	PICKFLOW_FUZZ=1 $(BIN)/pytest tests/fuzz -n $(CORES)

test-slurm: $(VENV)/.ready ## The demo and the failures on a real SLURM, installed, started and removed on this machine (root)
	PICKFLOW_SLURM=1 $(BIN)/pytest tests/slurm -n 0

test-cloud: $(VENV)/.ready ## The Kubernetes profile against an emulated API server and an S3 server on loopback (root)
	PICKFLOW_CLOUD=1 $(BIN)/pytest tests/cloud -n 0

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

docs: $(VENV)/.ready ## The page of all commands
	$(BIN)/python -m pickflow.command_line.reference > docs/commands.md

reference: $(VENV)/.ready ## Write docs/configuration-keys.md anew from the keys of the configuration
	$(BIN)/python -m pickflow.run.settings.reference > docs/configuration-keys.md

setup: $(VENV)/.ready ## The environment alone

# pip, or uv where it is present (uv does not read pip's settings, so they are handed over). pip and uv take a CPU build of
# torch from a folder of wheels named in PIP_FIND_LINKS, and the normal build otherwise. Compiling once makes every later
# start of snakemake three times faster where Python may not write bytecode.
$(VENV)/.demo: EXTRAS := workflow,pick
$(VENV)/.ready: EXTRAS := test

$(VENV)/.demo $(VENV)/.ready: pyproject.toml $(wildcard constraints/*.txt) setup.py $(wildcard src/pickflow/kernels/*.[ch])
	@test -f $(CONSTRAINTS) || { echo "ERROR pickflow runs on Python 3.11, 3.12 and 3.13, not $(VERSION); name one: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if command -v uv > /dev/null; then \
		UV_FIND_LINKS="$(PIP_FIND_LINKS)" SSL_CERT_FILE="$${PIP_CERT:-$$SSL_CERT_FILE}" \
			uv pip install --python $(BIN)/python --constraint $(CONSTRAINTS) --editable '.[$(EXTRAS)]'; \
	else \
		$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[$(EXTRAS)]'; \
	fi
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	touch $@

# uv resolves for Pythons that are not here; what 3.11 has is kept where it can be.
constraints: $(VENV)/.ready ## Write constraints/ anew: of 3.11 from what is installed, of the others as uv resolves them
	{ echo "# Versions that work together on Python 3.11, for pip and uv. Made by: make constraints"; \
	  $(BIN)/pip freeze --exclude-editable | sed -E 's/\+cpu$$//'; } > constraints/python-3.11.txt
	for version in $(OTHER_PYTHONS); do \
		grep -vE '^(#|numpy=|ml_dtypes=|torch=)' constraints/python-3.11.txt > constraints/kept.txt; \
		{ echo "# Versions that work together on Python $$version, for pip and uv. Made by: make constraints"; \
		  uv pip compile pyproject.toml --extra test --python-version $$version --no-header --no-annotate -q \
			--constraint constraints/kept.txt; } > constraints/python-$$version.txt || exit 1; \
	done
	rm constraints/kept.txt

clean:
	rm -rf $(VENV) $(VENV)-* results .snakemake build dist
