"""Rule lab_train: train a picker of the lab."""

from pathlib import Path

from pickflow.run.job import device_of, progress_bars, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.lab.data import open_sources
    from pickflow.run.settings.lab import LabParams
    from pickflow.train.together import train_together

    params, data = LabParams(**job.config["lab"]), Path(job.input.data)
    dataset = open_sources(params.sources, params.split, len(params.teachers), data)
    name, folder = job.wildcards.model, Path(job.output.card).parent
    with progress_bars() as show:
        train_together(
            name, dataset, params.training, job.params.seed, folder, device=device_of(job), weights=folder.name,
            teachers=params.teachers, on_step=lambda n_done, total, _: show(name, n_done, total),
        )  # fmt: skip
