"""Ten kills at random moments: everything goes on, nothing is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_ten_kills_lose_nothing(scripts: Path) -> None:
    command = [sys.executable, str(scripts / "kill_test.py"), "--small", "10", "--commands", "0"]
    environment = {**os.environ, "PYTHONPATH": str(scripts.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    kills = [int(count) for count in re.findall(r"(\d+) kills of", done.stdout)]
    assert kills == [10, 0]
    assert "faults" in done.stdout
