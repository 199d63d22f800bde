"""Rule analyze: catalogs against the reference, and the ledger of the run."""

import json
from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.analyze.reference import AnalyzeParams
    from pickflow.analyze.run import analyze_run
    from pickflow.analyze.tables import read_run, write_findings
    from pickflow.config import build
    from pickflow.io.atomic import write_text
    from pickflow.windows import parse_time

    window = (parse_time(job.params.starttime), parse_time(job.params.endtime))
    tables = read_run(Path(job.output.summary).parent, job.params.catalogs, job.params.days)
    compressions = [json.loads(Path(path).read_text()) for path in job.input.compressions]
    findings = analyze_run(job.params.run, tables, compressions, window, build(AnalyzeParams, job.params.settings))
    origin = runtime.origin(job, "analyze", *job.input.events, *job.input.assignments)
    write_text(job.output.summary, json.dumps(findings.summary, indent=2) + "\n")
    write_findings(findings, Path(job.output.summary).parent / "analysis", origin)
