"""Rule denoise: bandpass or DeepDenoiser over the waveforms of a day."""

from pathlib import Path

from pickflow.run.job import device_of, provenance_of, start_job, workers_of

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.denoise import denoise_day
    from pickflow.io.tables import read_table, write_table
    from pickflow.run.layout import manifest_of
    from pickflow.run.settings.denoise import DenoiseParams
    from pickflow.schemas import MANIFEST

    source, target = Path(job.input.waveforms), Path(job.output[0])
    manifest = read_table(manifest_of(source), MANIFEST)
    params = DenoiseParams(**job.config["denoise"])
    model = Path(job.input.model).parent if job.input.model else None
    compute = (job.wildcards.signal, params, model, device_of(job), job.config["pick"]["batch_size"])
    with workers_of(job, f"denoise {job.wildcards.date}") as station_map:
        cleaned = denoise_day(manifest, source, target, *compute, station_map)
    provenance = provenance_of(job, "denoise")
    write_table(cleaned, MANIFEST, manifest_of(target), provenance)
