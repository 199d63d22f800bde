"""Rule implicit: figures and page of the experiment with implicit models."""

import json
from pathlib import Path

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.implicit.experiment.page import make_page
    from pickflow.io.atomic import write_bytes, write_text
    from pickflow.io.tables import read_tables
    from pickflow.schemas import IMPLICIT_FITS, IMPLICIT_SCORES

    certificates = [json.loads(Path(path).read_text()) for path in job.input.certificates]
    scores, fits = read_tables(job.input.scores, IMPLICIT_SCORES), read_tables(job.input.fits, IMPLICIT_FITS)
    page = make_page(job.config["run"], scores, fits, certificates, provenance_of(job, "implicit"))
    write_bytes(job.output.sparsity, page.sparsity)
    write_bytes(job.output.perturbation, page.perturbation)
    write_text(job.output.page, page.html)
