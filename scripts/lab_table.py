"""Rule lab_table: the pickers of the lab beside one another."""

import json
from pathlib import Path

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.atomic import write_text
    from pickflow.lab.joined import csv_text
    from pickflow.lab.page import write_page
    from pickflow.lab.run import compare_run, latency_of
    from pickflow.run.grid import Candidate
    from pickflow.run.layout import RunLayout
    from pickflow.windows import parse_time

    run = RunLayout(Path(job.output.page).parents[1])
    pickers = [Candidate(*pair) for pair in job.params.pickers]
    span, origin = tuple(map(parse_time, job.params.span)), provenance_of(job, "lab")
    content, joined = compare_run(run, pickers, job.config, span, job.params.days, origin)
    write_text(job.output.table, csv_text(joined))
    write_text(job.output.page, write_page(content))
    write_text(job.output.latency, json.dumps(latency_of(run, pickers), indent=2) + "\n")
