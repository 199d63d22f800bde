"""Rule weights: put a model and its card into the run's folder."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.weights import fetch_weights

    folder = Path(job.output.tensors).parent
    fetch_weights(job.wildcards.model, job.wildcards.weights, folder, **job.params.settings)
