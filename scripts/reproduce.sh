#!/usr/bin/env bash
# The papers' claims, computed: sets up once, runs every experiment there is, writes reports/reproduction.html.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/env.sh
exec .venv/bin/python -m experiments "$@"
