#!/usr/bin/env bash
# Sets up a separate environment and builds the documentation site into build/site, with the notebooks executed.
# Any warning (a broken link, a name that the reference can't find) stops it.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${CALOFORGE_VENV:-.venv-docs}
if [ ! -x "$environment/bin/mkdocs" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --constraint constraints.txt --editable '.[train,docs]'
fi
export CALOFORGE_EXECUTE_NOTEBOOKS=true NO_MKDOCS_2_WARNING=1
"$environment/bin/mkdocs" build --strict "$@"
echo "The site: build/site/index.html"
