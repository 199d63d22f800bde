"""Rule locate: the days of a run as one catalog, relocated with station corrections."""

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.associate import merge_days
    from pickflow.config import build
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.io.velocity import velocity_model
    from pickflow.locate.catalog import locate_catalog
    from pickflow.locate.params import LocateParams
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS, STATIONS

    paths = list(zip(job.input.events, job.input.assignments, strict=True))
    days = [(read_table(events, EVENTS), read_table(assignments, ASSIGNMENTS)) for events, assignments in paths]
    picks, stations = read_tables(job.input.picks, PICKS), read_table(job.input.stations, STATIONS)
    events, assignments = merge_days(days, picks)
    velocity = job.params.velocity_model
    model = velocity_model(**velocity)
    located = locate_catalog(events, assignments, picks, stations, model, build(LocateParams, job.params.settings))
    origin = runtime.origin(job, "locate", *job.input.events, *job.input.assignments, *filter(None, [velocity["file"]]))
    write_table(located.events, EVENTS, job.output.events, origin)
    write_table(located.assignments, ASSIGNMENTS, job.output.assignments, origin)
    write_table(located.corrections, STATION_CORRECTIONS, job.output.corrections, origin)
