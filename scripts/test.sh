#!/usr/bin/env bash
# Everything a change must pass: lint, format, types, tests. MARKETNN_DATA=folder adds the tests on further real tables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/env.sh
export OMP_NUM_THREADS=1 # two workers share two cores
.venv/bin/ruff check --quiet .
.venv/bin/ruff format --check --quiet .
.venv/bin/mypy --no-error-summary
exec .venv/bin/python -m pytest -q -n 2 "$@"
