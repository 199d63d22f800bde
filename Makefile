# Two commands: `make demo` and `make test`. Both first make the environment in .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2

# Numerics take every core they see, and a busy machine then crawls: each job says how many it wants.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: demo test test-faults test-slurm test-cloud nightly lint format setup constraints clean

demo: $(VENV)/.ready ## The whole pipeline on the synthetic network, and its report
	$(BIN)/snakemake --cores $(CORES) --quiet host rules
	@$(BIN)/python scripts/summarize.py results/demo

test: $(VENV)/.ready lint ## Formatting, lint, types, and all tests
	$(BIN)/pytest -n $(CORES)

# What takes longer than the tests of every change: a whole campaign's worth of failures, a real SLURM, an emulated cloud.
nightly: test test-faults test-slurm test-cloud ## Everything; about an hour, as root

test-faults: $(VENV)/.ready ## Runs that are killed, starved, corrupted; ends with the number of faults and of lost rows
	PICKFLOW_FAULTS=1 $(BIN)/pytest tests/faults -n $(CORES)

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

setup: $(VENV)/.ready ## The environment alone

# pip, or uv where it is present (uv does not read pip's settings, so they are handed over). pip and uv take a CPU build of
# torch from a folder of wheels named in PIP_FIND_LINKS, and the normal build otherwise. Compiling once makes every later
# start of snakemake three times faster where Python may not write bytecode.
$(VENV)/.ready: pyproject.toml constraints.txt setup.py $(wildcard src/pickflow/kernels/*.[ch])
	$(PYTHON) -c "import sys; sys.exit(sys.version_info[:2] != (3, 11) and 'pickflow is pinned for Python 3.11; name one: make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv $(VENV)
	if command -v uv > /dev/null; then \
		UV_FIND_LINKS="$(PIP_FIND_LINKS)" SSL_CERT_FILE="$${PIP_CERT:-$$SSL_CERT_FILE}" \
			uv pip install --python $(BIN)/python --constraint constraints.txt --editable '.[workflow,test]'; \
	else \
		$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[workflow,test]'; \
	fi
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	touch $@

constraints: $(VENV)/.ready ## Write constraints.txt anew from what is installed
	{ echo "# Versions that work together on Python 3.11, for pip and uv. Made by: make constraints"; \
	  $(BIN)/pip freeze --exclude-editable | sed -E 's/\+cpu$$//'; } > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) results .snakemake
