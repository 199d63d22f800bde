"""The profile of Leonardo on a real SLURM: the demo, what it asks for, and what a run survives."""

import json
import shutil
import subprocess
import sys
from collections import Counter

import obspy
import pytest
import yaml

from pickflow.io.tables import read_table
from pickflow.schemas import LEDGER
from tests.fdsn_server import serving
from tests.slurm import lab as slurm
from tests.slurm import profile_run
from tests.slurm.profile_run import WITHOUT_ACCOUNTING, ProfileRun, jobs_in, kill_process_of, memory_mb
from tests.snakemake_runner import ROOT, SMALL, snakemake, tables_of

STATIONS = ["SY.ALBA", "SY.BORA", "SY.CIMA"]
DAYS = ["2026-01-15", "2026-01-16"]


@pytest.fixture(scope="module")
def lab():
    with slurm.Lab() as running:
        yield running


def beside(run):
    """What takes minutes goes on beside the other tests."""
    yield run
    run.kill()


@pytest.fixture(scope="module")
def local_run(lab, tmp_path_factory):
    yield from beside(ProfileRun(tmp_path_factory.mktemp("local"), SMALL, profile=False))


@pytest.fixture(scope="module")
def demo_run(lab, tmp_path_factory):
    yield from beside(ProfileRun(tmp_path_factory.mktemp("demo"), ROOT / "config" / "config.yaml", *WITHOUT_ACCOUNTING))


@pytest.fixture(scope="module")
def local(local_run):
    """Results of the small configuration without SLURM."""
    local_run.succeed()
    return local_run.directory


@pytest.fixture(scope="module")
def attempts(lab, local_run, demo_run, tmp_path_factory):
    """A run whose jobs died on their first attempt; the others have been started before."""
    snakefile = ROOT / "tests" / "slurm" / "attempts.smk"
    run = ProfileRun(tmp_path_factory.mktemp("attempts"), {}, *WITHOUT_ACCOUNTING, snakefile=snakefile)
    run.succeed()
    return run


@pytest.mark.parametrize(
    ("options", "account", "words"),
    [(["--jobs", "3"], slurm.ACCOUNT, "--jobs 3 together with arrays"), ([], "my_account", "export SBATCH_ACCOUNT")],
)
def test_what_would_wait_for_ever_is_refused(lab, tmp_path, monkeypatch, options, account, words):
    monkeypatch.setitem(profile_run.ENVIRONMENT, "SBATCH_ACCOUNT", account)
    run = ProfileRun(tmp_path, SMALL, *options)
    assert run.wait(120) == 1
    assert words in run.output
    assert not run.jobs()


def test_a_job_that_fails_asks_for_what_the_profile_says_and_then_for_twice_as_much(attempts):
    first, second = attempts.jobs("pick")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert (memory_mb(first), memory_mb(second)) == (32000, 64000)
    assert (first["TimeLimit"], second["TimeLimit"]) == ("01:00:00", "02:00:00")


def test_a_job_that_dies_of_too_little_memory_is_submitted_with_more(attempts):
    first, second = attempts.jobs("hungry")
    # The step is ended; its job then ends as one that failed, and its log says why.
    assert first["JobState"] in ("FAILED", "OUT_OF_MEMORY")
    assert second["JobState"] == "COMPLETED"
    assert "Exceeded job memory limit" in attempts.output
    assert (memory_mb(first), memory_mb(second)) == (800, 1600)


def test_a_job_that_dies_of_too_little_time_is_submitted_with_more(attempts):
    first, second = attempts.jobs("slow")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:01:00", "00:02:00")


def test_jobs_that_are_ready_together_are_one_array(attempts):
    jobs = attempts.jobs("associate")
    assert len(jobs) == 3
    assert len({job["ArrayJobId"] for job in jobs}) == 1


@pytest.fixture(scope="module")
def archive(local):
    """Three synthetic stations, as a data centre has them."""
    folder = local / "results" / "small" / "synthetic"
    stream = obspy.Stream()
    for path in sorted(folder.joinpath("sds").rglob("*.D.2026.*")):
        stream += obspy.read(str(path))
    return stream, obspy.read_inventory(str(folder / "stations.xml"))


def staged_config(server):
    """A run whose waveforms come from a data centre."""
    fdsn = {"servers": [server.url], "retries": 0, "timeout_s": 5}
    return {
        **SMALL,
        "download": {"source": "fdsn", "stations": STATIONS, "fdsn": fdsn},
        "denoise": {"methods": ["bandpass"]},
        "associate": {"velocity_model": {"p_km_s": 6.0, "s_km_s": 3.5}},
        "analyze": {},
    }


def test_what_was_staged_on_the_login_node_is_enough_for_nodes_without_internet(lab, archive, tmp_path):
    with serving(*archive) as server:
        config = staged_config(server)
        snakemake("download_all", "weights_all", directory=tmp_path, config=config)
    run = ProfileRun(tmp_path, config, "picks_all", *WITHOUT_ACCOUNTING)
    run.succeed()
    assert Counter(job["Comment"].split("_")[1] for job in run.jobs()) == {"denoise": 2, "pick": 2}
    assert len({job["ArrayJobId"] for job in run.jobs("denoise")}) == 1


def test_without_staging_the_message_says_that_the_node_reaches_nobody(lab, archive, tmp_path):
    with serving(*archive) as server:
        config = staged_config(server)
        target = "results/small/inventory/stations.parquet"
        compute_node = ["--set-resources", "inventory:slurm_partition=boost_usr_prod", "--retries", "0"]
        run = ProfileRun(tmp_path, config, target, *WITHOUT_ACCOUNTING, *compute_node)
        assert run.wait() != 0
        assert server.requests == []
    assert "download.fdsn.servers: 127.0.0.1: cannot be reached" in run.output


def test_workers_in_slurm_jobs_give_the_same_picks(lab, local, tmp_path):
    shutil.copytree(local, tmp_path / "run", symlinks=True)
    results = tmp_path / "run" / "results" / "small"
    before = {path.name: path.read_bytes() for path in results.glob("picks/*/*/*/*.parquet")}
    shutil.rmtree(results / "picks")
    account = {"account": slurm.ACCOUNT, "partition": "boost_usr_prod", "interface": "lo"}
    dask = {"cluster": "slurm", "n_workers": 2, "worker_memory_mb": 2000, "slurm": account}
    snakemake("picks_all", directory=tmp_path / "run", config={**SMALL, "compute": {"threads": 1, "dask": dask}})
    assert "pickflow-dask" in slurm.output("scontrol", "show", "job", "--oneliner")
    assert before == {path.name: path.read_bytes() for path in results.glob("picks/*/*/*/*.parquet")}


def test_a_dask_worker_killed_in_the_middle_loses_nothing(lab, tmp_path):
    command = [sys.executable, ROOT / "tests" / "slurm" / "dask_workers.py", slurm.ACCOUNT]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]
    answer = json.loads(run.stdout)
    assert [item for item, _ in answer["found"]] == list(range(9))
    assert answer["found"][0][1] == answer["killed"]
    assert answer["killed"] not in {job for _, job in answer["found"][5:]}


def test_a_run_with_every_fault_ends_with_the_bytes_of_a_run_without_slurm(lab, local, tmp_path, request):
    command = (tmp_path, SMALL, *WITHOUT_ACCOUNTING)
    run = ProfileRun(*command)
    request.addfinalizer(run.kill)
    kill_process_of(run.running_job("synthesize"), "synthesize.py")
    slurm.output("scancel", run.running_job("inventory")["JobId"])
    node = run.running_job("associate")["NodeList"]
    lab.lose_node(node)
    slurm.wait_until(f"{node} is given up", lambda: lab.state_of(node) == "DOWN", timeout_s=120)
    lab.start_node(node)
    run.running_job("catalog")
    run.kill()
    assert not (tmp_path / "results" / "small" / "summary.json").exists()
    ProfileRun(*command).succeed()
    states = {rule: [job["JobState"] for job in jobs_in(tmp_path, rule)] for rule in ("synthesize", "inventory")}
    assert states == {"synthesize": ["FAILED", "COMPLETED"], "inventory": ["CANCELLED", "COMPLETED"]}
    assert any(int(job["Restarts"]) == 1 for job in jobs_in(tmp_path, "associate"))
    expected, tables = tables_of(local), tables_of(tmp_path)
    assert len(expected) > 30
    assert expected.keys() == tables.keys()
    assert [name for name in expected if expected[name] != tables[name]] == []
    ledger = read_table(tmp_path / "results" / "small" / "analysis" / "ledger.parquet", LEDGER)
    assert len(ledger) == 12 * len(DAYS)
    assert not ledger.duplicated(["network", "station", "date"]).any()


@pytest.fixture(scope="module")
def demo(demo_run):
    """The whole demo."""
    demo_run.succeed()
    return demo_run


def test_the_demo_finds_the_hidden_events(demo):
    summary = json.loads((demo.directory / "results" / "demo" / "summary.json").read_text())
    teacher, student = summary["catalogs"]
    assert teacher["reference"]["n"] >= 20
    assert teacher["reference"]["recall"] >= 0.9
    assert teacher["reference"]["precision"] >= 0.9
    assert student["reference"]["recall"] >= 0.8
    assert (demo.directory / "results" / "demo" / "report.html").exists()


def test_pick_asks_for_a_gpu_and_gets_a_node_that_has_one(demo):
    jobs = demo.jobs("pick")
    assert len(jobs) >= 4
    assert {job["NodeList"] for job in jobs} == {slurm.GPU_NODE}
    assert {job["TresPerJob"] for job in jobs} == {"gres:gpu:1"}
    assert all("TresPerJob" not in job for job in demo.jobs("associate"))
    logs = (demo.directory / "results" / "demo" / "logs" / "pick").glob("*.log")
    assert all("computes on the CPU because PICKFLOW_DEVICE=cpu" in path.read_text() for path in logs)


def test_the_demo_sends_days_as_arrays(demo):
    for rule in ("associate", "amplitude"):
        jobs = demo.jobs(rule)
        # Two catalogs, teacher's and student's, of two days each.
        assert len({job["ArrayJobId"] for job in jobs}) == 2
        assert {job["ArrayTaskId"] for job in jobs} == {"1", "2"}


def test_what_reaches_the_internet_is_sent_to_the_serial_partition(demo):
    partitions = {job["Comment"].split("_")[1]: job["Partition"] for job in demo.jobs()}
    assert {rule for rule, name in partitions.items() if name == "lrd_all_serial"} == {
        "inventory",
        "download",
        "weights",
    }


def test_arrays_are_never_sent_in_part():
    """The plugin forgets those of which a limit lets only a part through."""
    # Entries that start with "?" are filled in when the profile is read.
    profile = yaml.safe_load((ROOT / "profiles" / "leonardo" / "config.yaml").read_text())
    assert profile["slurm-array-jobs"]
    assert profile["jobs"] == "unlimited"
    assert not {key for key in profile if key.startswith("max-jobs-per")}


def test_a_slurm_that_is_not_the_tests_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "SYSTEM", tmp_path)
    (tmp_path / "slurm.conf").write_text("ClusterName=real\n")
    with pytest.raises(RuntimeError, match="has a SLURM of its own, which is left alone"):
        slurm.Lab().start()
    assert (tmp_path / "slurm.conf").read_text() == "ClusterName=real\n"
