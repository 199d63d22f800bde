"""Rule synthesize: a synthetic network with known truth, as an archive."""

from pathlib import Path

from tqdm import tqdm

from pickflow.run.job import start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.run.settings.synthesize import SynthesizeParams
    from pickflow.synthesize import write_archive

    starttime, endtime = job.params.span
    params = SynthesizeParams(**job.params.settings, starttime=starttime, endtime=endtime)
    with tqdm(total=len(params.stations), desc="synthesize", unit="station") as bar:
        write_archive(params, Path(job.output[0]), lambda n_done, total, station: bar.update())
