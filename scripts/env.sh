#!/usr/bin/env bash
# Make .venv and install marketnn into it; does nothing until pyproject.toml or constraints.txt changes.
# PYTHON=/path/to/python3 chooses the interpreter (3.11 to 3.13).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=$(cat pyproject.toml constraints.txt | cksum)
stamp=.venv/installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi

suits() { "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if suits "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "marketnn needs Python 3.11, 3.12 or 3.13 with venv; name one with PYTHON=/path/to/python3" >&2
    exit 2
fi

echo "Setting up .venv with $("$python" --version): once, some minutes, mostly the download of PyTorch" >&2
[ -x .venv/bin/python ] && suits .venv/bin/python || "$python" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".[data,parquet,sql,sweep,search,dev]"
echo "$wanted" >"$stamp"
