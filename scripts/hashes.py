"""Write constraints with the SHA-256 of every file that an install would take, so that pip refuses any other.

    python scripts/hashes.py [EXTRA ...] > constraints-hashed.txt
    pip install --require-hashes -r constraints-hashed.txt && pip install --no-deps .

pip itself resolves the versions of constraints.txt and names the files, without installing any. The list holds for the Python,
the platform and the package index on which it was made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from licences import roots

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"


def resolved(extras: Sequence[str]) -> dict[str, Any]:
    """Return pip's report of what it would install.

    Raises:
        subprocess.CalledProcessError: pip finds no such files; it has said why.
    """
    wanted = [str(requirement) for requirement in roots(extras)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(report), "-c", str(CONSTRAINTS), *wanted], check=True)
        read: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return read


def hashed_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a line per package, ``name==version --hash=sha256:...``, sorted.

    Raises:
        SystemExit: a file of which pip knows no SHA-256.
    """
    lines = []
    for entry in report["install"]:
        told, name = entry["metadata"], entry["metadata"]["name"]
        sha256 = entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if sha256 is None:
            raise SystemExit(
                f"{name} {told['version']}: pip knows no SHA-256 of its file; take it from an index that tells one."
            )
        lines.append(f"{name}=={told['version']} --hash=sha256:{sha256}")
    return sorted(lines, key=str.lower)


if __name__ == "__main__":
    print(*hashed_lines(resolved(sys.argv[1:])), sep="\n")
