"""Rule catalog: the days of a run as one catalog, in every format."""

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.associate import merge_days
    from pickflow.io.catalogs import write_csv, write_quakeml
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS

    paths = zip(job.input.events, job.input.assignments, strict=True)
    days = [(read_table(events, EVENTS), read_table(assignments, ASSIGNMENTS)) for events, assignments in paths]
    events, assignments = merge_days(days)
    origin = runtime.origin(job, "associate", *job.input.events, *job.input.assignments)
    write_table(events, EVENTS, job.output.events, origin)
    write_table(assignments, ASSIGNMENTS, job.output.assignments, origin)
    write_csv(events, job.output.csv)
    write_quakeml(events, assignments, read_tables(job.input.picks, PICKS), job.output.quakeml)
