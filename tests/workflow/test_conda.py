"""What Snakemake does with --software-deployment-method conda, as far as it can be done without conda."""

import os
import subprocess
import sys

from tests.snakemake_runner import ROOT


def test_the_environment_gets_the_library_with_its_kernels(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "made"], check=True)
    programs = tmp_path / "made" / "bin"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "PICKFLOW_PACKAGE": str(ROOT / "src" / "pickflow")}
    subprocess.run(["sh", ROOT / "envs" / "pickflow.post-deploy.sh"], env=environment, cwd=tmp_path, check=True)
    code = "import pathlib, pickflow as p; print(*pathlib.Path(p.__file__).parent.glob('*/_network.so'))"
    run = subprocess.run([programs / "python", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert run.stdout.startswith(str(tmp_path / "made"))
