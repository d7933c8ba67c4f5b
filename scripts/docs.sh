#!/usr/bin/env bash
# Build the documentation into site/, from docs/ and the docstrings, in an environment of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/env.sh
[ -x .venv-docs/bin/mkdocs ] || .venv/bin/python -m venv .venv-docs
.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
    mkdocs mkdocs-material "mkdocstrings[python]" ruff # which sets long signatures in lines
.venv/bin/python scripts/papers_table.py
exec .venv-docs/bin/mkdocs build
