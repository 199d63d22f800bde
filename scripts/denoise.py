"""Rule denoise: bandpass or DeepDenoiser over the waveforms of a day."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.denoise import DenoiseParams, denoise_day
    from pickflow.io.tables import read_table, write_table
    from pickflow.schemas import MANIFEST

    source, target = Path(job.input.waveforms), Path(job.output[0])
    manifest = read_table(source / "manifest.parquet", MANIFEST)
    params = build(DenoiseParams, job.params.settings)
    model = Path(job.input.model).parent if job.input.model else None
    compute = (job.wildcards.signal, params, model, runtime.device(job), job.params.batch_size)
    with runtime.station_map(job, f"denoise {job.wildcards.date}") as station_map:
        cleaned = denoise_day(manifest, source, target, *compute, station_map)
    origin = runtime.origin(job, "denoise", source / "manifest.parquet")
    write_table(cleaned, MANIFEST, target / "manifest.parquet", origin)
