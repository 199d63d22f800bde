"""Rule lab_data: the records that the pickers of the lab are trained and tested on, and an account of them."""

import json
from pathlib import Path

from pickflow.run.job import progress_bars, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.atomic import write_text
    from pickflow.lab.data import description_of, open_sources, write_sources
    from pickflow.lab.joined import csv_text
    from pickflow.models.loading import load_model
    from pickflow.run.settings.lab import LabParams

    params, folder = LabParams(**job.params.settings), Path(job.output.folder)
    teachers = [load_model(Path(card).parent) for card in job.input.teachers]
    with progress_bars() as show:
        write_sources(params.sources, params.split, teachers, folder, show, params.teaching)
    dataset = open_sources(params.sources, params.split, len(teachers), folder)
    readable = dataset.examined()
    write_text(job.output.left_out, csv_text(dataset.left_out))
    write_text(job.output.description, json.dumps(description_of(readable), indent=2) + "\n")
