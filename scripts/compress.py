"""Rule compress: smaller students of a teacher, each with its certificate."""

import json
from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.compress import CompressParams, compress_run
    from pickflow.config import build
    from pickflow.io.atomic import write_text

    teacher = Path(job.input.card).parent
    days = list(zip(map(Path, job.input.waveforms), map(Path, job.input.picks), strict=True))
    folders = [Path(path).parent for path in job.output.tensors]
    students = dict(zip(job.params.students, folders, strict=True))
    params = build(CompressParams, job.params.settings)
    mapped = runtime.station_map(job, f"lasso paths {teacher.name}")
    with mapped as station_map, runtime.progress_bars() as show:
        made = compress_run(teacher, days, students, params, station_map, show)
    write_text(job.output.compression, json.dumps(made["compression"], indent=2) + "\n")
    write_text(job.output.latency, json.dumps(made["latency"], indent=2) + "\n")
