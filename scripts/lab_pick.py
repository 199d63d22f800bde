"""Rule lab_pick: what a picker gives on the records that decide and test."""

from pathlib import Path

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.tables import write_table
    from pickflow.lab.data import open_sources
    from pickflow.lab.predictions import predict
    from pickflow.models.loading import load_model
    from pickflow.run.settings.lab import LabParams
    from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS

    params, data = LabParams(**job.config["lab"]), Path(job.input.data)
    dataset = open_sources(params.sources, params.split, len(params.teachers), data)
    parts = (dataset.select(part=part).blocks() for part in ("validation", "test"))
    records = (record for blocks in parts for block in blocks for record in block)
    predictions = predict(load_model(Path(job.input.card).parent), records)
    write_table(predictions.picks, PREDICTIONS, job.output.predictions, provenance_of(job, "lab"))
    write_table(predictions.records, LABELLED_RECORDS, job.output.records, provenance_of(job, "lab"))
