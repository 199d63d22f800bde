"""The wheel, installed beside the packages that it needs and far from the checkout, runs the whole workflow."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.snakemake_runner import ROOT, SMALL


def run(*command, cwd, check=True):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert not check or ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Not in the checkout, where setuptools would find what earlier builds have left.
    run("git", "clone", "--quiet", ROOT, folder / "source", cwd=folder)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        folder / "source",
        cwd=folder,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The program ``pickflow`` of an environment of its own, which borrows the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin" / "pickflow"


@pytest.mark.nightly
def test_one_wheel_serves_every_python_and_links_nothing_of_it(wheel):
    assert wheel.name.split("-")[2:4] == ["py3", "none"]
    names = zipfile.ZipFile(wheel).namelist()
    assert "pickflow/kernels/_network.so" in names
    assert "pickflow/workflow_files/Snakefile" in names
    assert [name for name in names if name.startswith("tests/") or "__pycache__" in name] == []
    tags = run(Path(sys.executable).with_name("auditwheel"), "show", wheel, cwd=wheel.parent).stdout
    assert '"manylinux_2_5' in tags.replace("\n", " ")


@pytest.mark.nightly
def test_an_installed_pickflow_runs_the_whole_workflow_in_any_folder(installed, tmp_path):
    package_file = run(
        installed.with_name("python"), "-c", "import pickflow; print(pickflow.__file__)", cwd=tmp_path
    ).stdout
    assert package_file.startswith(str(installed.parents[1]))
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(SMALL))
    run(installed, "check", "my.yaml", cwd=tmp_path)
    assert "jobs" in run(installed, "plan", "my.yaml", cwd=tmp_path).stdout
    run(installed, "run", "my.yaml", "--cores", "1", cwd=tmp_path)
    assert (tmp_path / "results" / "small" / "report.html").stat().st_size > 10_000
    assert "6 events from" in run(installed, "report", "small", cwd=tmp_path).stdout
