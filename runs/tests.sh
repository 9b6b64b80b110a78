#!/usr/bin/env bash
# Sets up a separate environment with all dependencies, and runs linters, types and tests.
# Tests run in two processes, all those of a file in the same one. Geant4 tests need the data of Geant4
# (GEANT4_DATA_DIR or Geant4's own variables) and are skipped without.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${CALOFORGE_VENV:-.venv-tests}
if [ ! -x "$environment/bin/caloforge" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --constraint constraints.txt --editable '.[train,geant4,cluster,frames,dev]'
fi
"$environment/bin/ruff" check
"$environment/bin/ruff" format --check
"$environment/bin/mypy"
"$environment/bin/python" -m pytest -n 2 --dist loadfile "$@"
