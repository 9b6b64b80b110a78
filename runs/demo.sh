#!/usr/bin/env bash
# Sets up an environment of its own, generates showers with the default models (the fast ones), lays them beside
# Geant4's and says where the page is.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x .venv/bin/caloforge ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet --constraint constraints.txt .
fi
.venv/bin/caloforge demo "$@"
