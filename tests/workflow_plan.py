"""Which jobs Snakemake would run, asked inside this process: a dry run takes a second, a process of its own five."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness, RerunTrigger
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    ExecutionSettings,
    OutputSettings,
    ResourceSettings,
    WorkflowSettings,
)

from pickflow.run.configuration import complete
from pickflow.run.effects import settings_of
from pickflow.run.stations_of_days import BEGIN, END, Epoch, request_of, text
from tests.snakemake_runner import ROOT

# As in profiles/default.
TRIGGERS = frozenset(
    map(
        RerunTrigger.parse_choice, yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())["rerun-triggers"]
    )
)

LAYERS = "0.0 5.5 3.2 2.6\n20.0 6.5 3.7 2.8\n40.0 8.0 4.5 3.3\n"
# A run of three days, to be taken for done.
LEAN = {
    "run": "small",
    "starttime": "2024-05-01",
    "endtime": "2024-05-04",
    "download": {"source": "sds", "path": "sds", "inventory": ["stations.xml"], "stations": ["XX.A", "XX.B"]},
    "associate": {"velocity_model": {"file": "velocity.nd"}},
    "analyze": {"reference": {"file": "bulletin.xml"}},
}
# What has to be done after a change in a stage.
REPORT = {"report"}
ANALYZE = {"analyze"} | REPORT
CATALOG = {"catalog"} | ANALYZE
AMPLITUDE = {"amplitude"} | CATALOG
LOCATE = {"locate"} | AMPLITUDE
ASSOCIATE = {"associate"} | LOCATE


@contextlib.contextmanager
def planned(directory, config, pseudo_executor="dryrun", targets=(), snakefile=ROOT / "Snakefile"):
    """
    The graph of jobs after a dry run, or after outputs that exist were taken for made.

    Yields
    ------
    snakemake.dag.DAG
    """
    path = Path(directory) / "test-config.yaml"
    path.write_text(yaml.safe_dump(config))
    folder_before = Path.cwd()
    settings = OutputSettings(quiet={Quietness.ALL}, dryrun=pseudo_executor == "dryrun")
    try:
        with SnakemakeApi(settings) as api, contextlib.redirect_stderr(io.StringIO()):
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[path]),
                workflow_settings=WorkflowSettings(),
                snakefile=snakefile,
                workdir=Path(directory),
            )
            dag = workflow.dag(
                DAGSettings(targets=frozenset(targets), rerun_triggers=TRIGGERS, forceall=pseudo_executor == "touch")
            )
            dag.execute_workflow(
                "local", pseudo_executor=pseudo_executor, execution_settings=ExecutionSettings(lock=False)
            )
            yield workflow._workflow.dag
    finally:
        os.chdir(folder_before)


def jobs_to_run(directory, config, targets=(), snakefile=ROOT / "Snakefile"):
    """What would run: the rule of each job, with its day where it has one, sorted."""
    with planned(directory, config, targets=targets, snakefile=snakefile) as dag:
        jobs = [(job.rule.name, job.wildcards_dict.get("date")) for job in dag.needrun_jobs(exclude_finished=False)]
    return sorted(f"{rule} {day}" if day else rule for rule, day in jobs if rule != "all")


def pretend_to_run(directory, config, contents=None):
    """
    Make every output of a run as a small file, and let Snakemake note that its jobs are done.

    Parameters
    ----------
    contents : mapping of str to bytes, optional
        Content of some files, by their path.
    """
    with planned(directory, config) as dag:
        outputs = [(str(file), file.is_directory) for job in dag.jobs for file in job.output]
    for name, is_folder in outputs:
        path = Path(directory, name)
        (path if is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        if not is_folder:
            path.write_bytes((contents or {}).get(name, b"made by a test\n"))
    with planned(directory, config, "touch"):
        pass


def epochs(config, *extra_epochs):
    """What `inventory` keeps of two stations that stand for ever, and more."""
    request = request_of(settings_of("inventory", "download", complete(config)), [])
    return text(request, ["XX.A", "XX.B"], [Epoch(BEGIN, END, "A"), Epoch(BEGIN, END, "B"), *extra_epochs]).encode()


def in_folder(folder, function, *arguments):
    """Files of a configuration are seen from there."""
    folder_before = os.getcwd()
    os.chdir(folder)
    try:
        return function(*arguments)
    finally:
        os.chdir(folder_before)


def finish(folder, config):
    """A folder in which this run is done, as far as Snakemake knows."""
    for name in ("sds", "elsewhere"):
        (folder / name).mkdir(parents=True)
    for name in ("stations.xml", "more.xml", "bulletin.xml"):
        (folder / name).write_text("<FDSNStationXML/>\n")
    (folder / "velocity.nd").write_text(LAYERS)
    epochs_of_run = in_folder(folder, epochs, config)
    stations = folder / "stations.parquet"
    pq.write_table(pa.table({"station": ["A", "B"]}), stations)
    contents = {"epochs.json": epochs_of_run, "stations.parquet": stations.read_bytes()}
    pretend_to_run(folder, config, {f"results/small/inventory/{name}": content for name, content in contents.items()})
    return folder


def rules_to_run(folder, config):
    return {job.split()[0] for job in jobs_to_run(folder, config)}
