"""Rule pick: P and S picks of a day."""

from pathlib import Path

from pickflow.run.job import device_of, provenance_of, start_job, workers_of, write_timing

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.tables import read_table, write_table
    from pickflow.pick import pick_day
    from pickflow.run.layout import manifest_of
    from pickflow.run.settings.pick import PickParams
    from pickflow.schemas import MANIFEST, PICK_LEDGER, PICKS
    from pickflow.windows import parse_time

    waveforms, model = Path(job.input.waveforms), Path(job.input.card).parent
    window = tuple(parse_time(moment) for moment in job.params.window)
    manifest = read_table(manifest_of(waveforms), MANIFEST)
    params = PickParams(**job.config["pick"])
    with workers_of(job, f"pick {job.wildcards.date}") as station_map:
        picks, ledger, cpu_s = pick_day(manifest, waveforms, model, params, window, device_of(job), station_map)
    provenance = provenance_of(job, "pick")
    write_table(picks, PICKS, job.output.picks, provenance)
    write_table(ledger, PICK_LEDGER, job.output.ledger, provenance)
    write_timing(job.log.timing, cpu_s, manifest, window)
