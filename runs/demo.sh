#!/usr/bin/env bash
# Sets up a separate environment, generates showers with the default models (the fast ones), compares them with
# Geant4's and prints where the page is.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x .venv/bin/caloforge ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet --constraint constraints.txt .
fi
.venv/bin/caloforge demo "$@"
