"""Rule implicit_fit: a picker as an implicit model, made sparse, and what becomes of its picks."""

import json
from pathlib import Path

from pickflow.run.job import progress_bars, provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.implicit.experiment.run import study_picker
    from pickflow.io.atomic import write_text
    from pickflow.io.tables import write_table
    from pickflow.run.settings.implicit import ImplicitParams
    from pickflow.schemas import IMPLICIT_FITS, IMPLICIT_SCORES

    params = ImplicitParams(**job.config["implicit"])
    with progress_bars() as show:
        findings = study_picker(Path(job.input.card).parent, job.wildcards.form, params, show)
    provenance = provenance_of(job, "implicit")
    write_table(findings.scores, IMPLICIT_SCORES, job.output.scores, provenance)
    write_table(findings.fits, IMPLICIT_FITS, job.output.fits, provenance)
    write_text(job.output.certificate, json.dumps(findings.certificate, indent=1) + "\n")
