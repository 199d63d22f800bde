"""Run the workflow of this checkout in a folder of its own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]

# Ten minutes across midnight with six events: enough for every rule to have something to do.
SMALL = {
    "run": "small",
    "starttime": "2026-01-15T23:55:00Z",
    "endtime": "2026-01-16T00:05:00Z",
    "compute": {"threads": 1},
    "synthesize": {"seismicity": {"n_events": 6}},
    "download": {
        "source": "sds",
        "path": "<results>/synthetic/sds",
        "inventory": ["<results>/synthetic/stations.xml"],
        "stations": ["*.*"],
    },
    "associate": {"velocity_model": {"file": "<results>/synthetic/velocity.nd"}},
    "analyze": {"reference": {"file": "<results>/synthetic/reference.quakeml"}},
}


def snakemake(*arguments, directory, config=None, check=True, environment=None):
    """
    Run snakemake on this checkout's Snakefile.

    Parameters
    ----------
    *arguments : str
        Targets and options.
    directory : Path
        Where `results/` and `.snakemake/` go.
    config : mapping or Path, optional
        A configuration, or the path of one; without it the demo's.
    check : bool
        Fail the test if snakemake fails.
    environment : mapping, optional
        Added to the environment.

    Returns
    -------
    CompletedProcess
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    if isinstance(config, dict):
        path = Path(directory) / "test-config.yaml"
        path.write_text(yaml.safe_dump(config))
        config = path
    command += ["--configfile", config or ROOT / "config" / "config.yaml"]
    if "--cores" not in arguments and not {"-n", "--lint"} & set(arguments):
        command += ["--cores", "1"]
    run = subprocess.run(
        [str(part) for part in [*command, *arguments]],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if check:
        assert run.returncode == 0, f"snakemake failed:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
    return run
