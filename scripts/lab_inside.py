"""Rule lab_inside: what a picker of the lab looks like inside, in windows of the test part."""

from pathlib import Path

from pickflow.run.job import progress_bars, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.inside.run import look_inside
    from pickflow.inside.sources import Source
    from pickflow.lab.data import open_sources, shuffled
    from pickflow.run.settings.lab import LabParams

    params, data = LabParams(**job.config["lab"]), Path(job.input.data)
    test = open_sources(params.sources, params.split, len(params.teachers), data).select(part="test")
    picker, folder = Path(job.input.card).parent, Path(job.output.page).parent
    with progress_bars() as show:
        look_inside(picker, folder, Source(data=shuffled(test)), params.inside.n_windows, progress=show)
