"""Rule pick: P and S picks of a day."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.io.tables import read_table, write_table
    from pickflow.pick import PickParams, pick_day
    from pickflow.schemas import MANIFEST, PICK_LEDGER, PICKS
    from pickflow.windows import parse_time

    waveforms, model = Path(job.input.waveforms), Path(job.input.card).parent
    window = tuple(parse_time(moment) for moment in job.params.window)
    manifest = read_table(waveforms / "manifest.parquet", MANIFEST)
    params = build(PickParams, job.params.settings)
    with runtime.station_map(job, f"pick {job.wildcards.date}") as station_map:
        picks, ledger, cpu_s = pick_day(manifest, waveforms, model, params, window, runtime.device(job), station_map)
    origin = runtime.origin(job, "pick", job.input.card, waveforms / "manifest.parquet")
    write_table(picks, PICKS, job.output.picks, origin)
    write_table(ledger, PICK_LEDGER, job.output.ledger, origin)
    runtime.write_timing(job.log.timing, cpu_s, manifest, window)
