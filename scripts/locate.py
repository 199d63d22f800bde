"""Rule locate: the days of a run as one catalog, relocated with station corrections."""

from pathlib import Path

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.associate import merge_days
    from pickflow.io.places import read_stations
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.locate.catalog import locate_catalog
    from pickflow.run.settings.locate import LocateParams
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS
    from pickflow.travel_times.files import velocity_model

    paths = list(zip(job.input.events, job.input.assignments, strict=True))
    days = [(read_table(events, EVENTS), read_table(assignments, ASSIGNMENTS)) for events, assignments in paths]
    picks = read_tables(job.input.picks, PICKS)
    stations = read_stations(job.input.stations, [Path(path).stem for path in job.input.picks])
    events, assignments = merge_days(days, picks)
    velocity = job.config["associate"]["velocity_model"]
    model = velocity_model(**velocity)
    located = locate_catalog(events, assignments, picks, stations, model, LocateParams(**job.params.settings))
    provenance = provenance_of(job, "locate")
    write_table(located.events, EVENTS, job.output.events, provenance)
    write_table(located.assignments, ASSIGNMENTS, job.output.assignments, provenance)
    write_table(located.corrections, STATION_CORRECTIONS, job.output.corrections, provenance)
