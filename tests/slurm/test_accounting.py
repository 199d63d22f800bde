"""The profile as it is, on a SLURM with accounting (slurmdbd), as Leonardo's."""

import pytest

from tests.slurm import lab as slurm
from tests.slurm.profile_run import ProfileRun, jobs_in
from tests.snakemake_runner import ROOT

SNAKEFILE = ROOT / "tests" / "slurm" / "attempts.smk"


@pytest.fixture(scope="module")
def lab():
    with slurm.Lab(accounting=True) as running:
        yield running


def sacct(directory, rule):
    """State, memory and resources of the jobs of a rule, from the accounting."""
    columns = ["--format=State,ReqMem,ReqTRES,Account", "--noheader", "--parsable2", "--allocations"]
    numbers = [job["JobId"] for job in jobs_in(directory, rule)]
    return [line.split("|") for line in slurm.output("sacct", *columns, "--jobs", ",".join(numbers)).splitlines()]


def test_jobs_end_in_the_accounting_with_what_they_asked_for(lab, tmp_path, request):
    run = ProfileRun(tmp_path, {}, "pick.txt", "hungry.txt", snakefile=SNAKEFILE)
    request.addfinalizer(run.kill)
    run.succeed()
    pick, again = sacct(tmp_path, "pick")
    assert (pick[0], again[0]) == ("FAILED", "COMPLETED")
    assert (pick[1], again[1]) == ("32000M", "62.50G")
    assert "gres/gpu=1" in pick[2]
    assert pick[3] == slurm.ACCOUNT
    first, second = sacct(tmp_path, "hungry")
    assert first[0] in ("FAILED", "OUT_OF_MEMORY")
    assert second[0] == "COMPLETED"
    assert "using 'squeue'" not in run.output
