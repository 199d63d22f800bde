"""Map a function over stations on two Dask workers in SLURM jobs, kill one in the middle, and say what came back."""

import json
import os
import subprocess
import sys
import time

from pickflow.run.settings.compute import DaskParams, SlurmParams
from pickflow.run.workers import station_map


def item_and_job(item):
    """The item, and the SLURM job that it was dealt with in."""
    time.sleep(1)
    return item, os.environ["SLURM_JOB_ID"]


if __name__ == "__main__":
    account = SlurmParams(account=sys.argv[1], partition="boost_usr_prod", interface="lo", runtime_minutes=5)
    params = DaskParams(cluster="slurm", n_workers=2, worker_memory_mb=1000, slurm=account)
    with station_map(1, params, "stations") as mapped:
        first = next(mapped(item_and_job, [0]))
        subprocess.run(["scancel", "--signal=KILL", "--full", first[1]], check=True)
        results = list(mapped(item_and_job, range(1, 9)))
    sys.stdout.write(json.dumps({"killed": first[1], "found": [first, *results]}))
