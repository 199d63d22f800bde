"""Rule weights: put a model and its card into the run's folder."""

from pathlib import Path

from pickflow.run.job import start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.weights import fetch_weights

    folder = Path(job.output.tensors).parent
    fetch_weights(job.wildcards.model, job.wildcards.weights, folder, **job.config["weights"])
