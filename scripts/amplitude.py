"""Rule amplitude: Wood-Anderson amplitudes of the events of a day."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.io.inventory import read_inventory
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.io.velocity import velocity_model
    from pickflow.magnitude import WORTH_WORKERS, Catalog, MagnitudeParams, amplitudes_of_day
    from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, MANIFEST, PICKS, STATIONS

    waveforms, params = Path(job.input.waveforms), build(MagnitudeParams, job.params.settings)
    catalog = Catalog(
        events=read_table(job.input.events, EVENTS),
        assignments=read_table(job.input.assignments, ASSIGNMENTS),
        picks=read_tables(job.input.picks, PICKS),
        stations=read_table(job.input.stations, STATIONS),
        model=velocity_model(**job.params.velocity_model),
    )
    manifest = read_table(waveforms / "manifest.parquet", MANIFEST)
    inventory, day = read_inventory([job.input.inventory]), job.wildcards.date
    threads = job.threads if len(catalog.assignments) > WORTH_WORKERS else 1
    with runtime.station_map(job, f"amplitude {day}", threads) as station_map:
        amplitudes = amplitudes_of_day(catalog, waveforms, manifest, inventory, day, params, station_map)
    origin = runtime.origin(job, "magnitude", job.input.events, job.input.inventory, waveforms / "manifest.parquet")
    write_table(amplitudes, AMPLITUDES, job.output.amplitudes, origin)
