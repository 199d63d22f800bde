"""Rule synthesize: a synthetic network with known truth, as an archive."""

from pathlib import Path

from tqdm import tqdm

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.synthesize import SynthesizeParams, write_archive
    from pickflow.windows import parse_time

    window = {name: parse_time(job.params[name]) for name in ("starttime", "endtime")}
    params = build(SynthesizeParams, {**job.params.settings, **window})
    with tqdm(total=len(params.stations), desc="synthesize", unit="station") as bar:
        write_archive(params, Path(job.output[0]), lambda done, total, station: bar.update())
