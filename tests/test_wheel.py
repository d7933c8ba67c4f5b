"""The built wheel runs outside the repository with the configurations it carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def test_the_wheel_runs_with_its_own_configs(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(REPOSITORY)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = tmp_path.glob("marketnn-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    assert (site / "marketnn" / "configs" / "config.yaml").is_file()
    assert (site / "marketnn" / "py.typed").is_file()
    assert not (site / "experiments").exists()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "marketnn.cli", "pipeline=churn", "data=packaged", "hydra.run.dir=out"]
    done = subprocess.run(
        command,
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "report: out/report.html" in done.stdout
    assert json.loads((elsewhere / "out" / "metrics.json").read_text())["n_rows"] == 7032
    where = [sys.executable, "-c", "import marketnn.cli as c; print(c.config_folder())"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    shown = subprocess.run(where, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(site / "marketnn" / "configs")
