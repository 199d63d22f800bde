"""Rule report: one page that shows the whole run."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.analyze.gather import GatherParams
    from pickflow.analyze.report import write_report
    from pickflow.analyze.run import report_content
    from pickflow.analyze.tables import read_findings, read_run
    from pickflow.config import build
    from pickflow.io.atomic import write_text
    from pickflow.io.velocity import velocity_model
    from pickflow.windows import parse_time

    config, results = job.params.config, Path(job.output[0]).parent
    window = (parse_time(config["starttime"]), parse_time(config["endtime"]))
    tables = read_run(results, job.params.catalogs, job.params.days)
    findings = read_findings(results, job.params.catalogs)
    model = velocity_model(**config["associate"]["velocity_model"])
    params = build(GatherParams, config["report"])
    write_text(job.output[0], write_report(report_content(results, config, window, tables, findings, model, params)))
