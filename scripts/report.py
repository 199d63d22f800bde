"""Rule report: one page that shows the whole run."""

from pathlib import Path

from pickflow.run.job import start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.comparison.tables import read_findings, read_run
    from pickflow.io.atomic import write_text
    from pickflow.report.page import write_report
    from pickflow.report.run import report_content
    from pickflow.run.keys import CatalogKey
    from pickflow.run.layout import RunLayout
    from pickflow.run.settings.report import GatherParams
    from pickflow.travel_times.files import velocity_model
    from pickflow.windows import parse_time

    config, run = job.params.config, RunLayout(Path(job.output[0]).parent)
    window = tuple(map(parse_time, job.params.span))
    catalogs = [CatalogKey.parse(name) for name in job.params.catalogs]
    tables, findings = read_run(run, catalogs, job.params.days), read_findings(run, catalogs)
    model = velocity_model(**config["associate"]["velocity_model"])
    params = GatherParams(**config["report"])
    write_text(job.output[0], write_report(report_content(run, config, window, tables, findings, model, params)))
