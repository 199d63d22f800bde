"""Rule compress: smaller students of a teacher, each with its certificate."""

import json
from pathlib import Path

from pickflow.run.job import progress_bars, start_job, workers_of

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.compress import compress_run
    from pickflow.io.atomic import write_text
    from pickflow.run.settings.compress import CompressParams

    teacher = Path(job.input.card).parent
    days = list(zip(map(Path, job.input.waveforms), map(Path, job.input.picks), strict=True))
    folders = [Path(path).parent for path in job.output.tensors]
    students = {folder.name.removeprefix(f"{teacher.name}-"): folder for folder in folders}
    params = CompressParams(**job.config["compress"])
    workers = workers_of(job, f"lasso paths {teacher.name}")
    with workers as station_map, progress_bars() as show:
        results = compress_run(teacher, days, students, params, station_map, show)
    write_text(job.output.compression, json.dumps(results["compression"], indent=2) + "\n")
    write_text(job.output.latency, json.dumps(results["latency"], indent=2) + "\n")
