"""Rule amplitude: Wood-Anderson amplitudes of the events of a day."""

from pathlib import Path

from pickflow.run.job import provenance_of, start_job, workers_of

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.inventory import read_inventory, read_stations
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.magnitude import WORTH_WORKERS, Catalog, amplitudes_of_day
    from pickflow.run.layout import manifest_of
    from pickflow.run.settings.magnitude import MagnitudeParams
    from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, MANIFEST, PICKS
    from pickflow.travel_times.files import velocity_model

    day, waveforms = job.wildcards.date, Path(job.input.waveforms)
    params, inventory = MagnitudeParams(**job.config["magnitude"]), read_inventory([job.input.inventory])
    catalog = Catalog(
        events=read_table(job.input.events, EVENTS),
        assignments=read_table(job.input.assignments, ASSIGNMENTS),
        picks=read_tables(job.input.picks, PICKS),
        stations=read_stations(job.input.stations, [day]),
        model=velocity_model(**job.config["associate"]["velocity_model"]),
    )
    manifest = read_table(manifest_of(waveforms), MANIFEST)
    threads = job.threads if len(catalog.assignments) > WORTH_WORKERS else 1
    with workers_of(job, f"amplitude {day}", threads) as station_map:
        amplitudes = amplitudes_of_day(catalog, waveforms, manifest, inventory, day, params, station_map)
    write_table(amplitudes, AMPLITUDES, job.output.amplitudes, provenance_of(job, "magnitude"))
