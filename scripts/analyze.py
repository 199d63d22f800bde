"""Rule analyze: catalogs against the reference, and the ledger of the run."""

import json
from pathlib import Path

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.analyze.run import analyze_run
    from pickflow.comparison.tables import read_run, write_findings
    from pickflow.io.atomic import write_text
    from pickflow.io.documents import read_json
    from pickflow.run.keys import CatalogKey
    from pickflow.run.layout import RunLayout
    from pickflow.run.settings.analyze import AnalyzeParams
    from pickflow.windows import parse_time

    window = tuple(map(parse_time, job.params.span))
    run = RunLayout(Path(job.output.summary).parent)
    tables = read_run(run, [CatalogKey.parse(name) for name in job.params.catalogs], job.params.days)
    compressions = [read_json(path) for path in job.input.compressions]
    findings = analyze_run(job.params.run, tables, compressions, window, AnalyzeParams(**job.params.settings))
    provenance = provenance_of(job, "analyze")
    write_text(job.output.summary, json.dumps(findings.summary, indent=2) + "\n")
    write_findings(findings, run, provenance)
