"""Rule associate: events with origins on a day, from the picks around it."""

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.associate import AssociateParams, associate
    from pickflow.config import build
    from pickflow.io.completeness import check_picks
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.io.velocity import velocity_model
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICK_LEDGER, PICKS, STATIONS
    from pickflow.windows import parse_time

    params = build(AssociateParams, job.params.settings)
    picks = read_tables(job.input.picks, PICKS)
    check_picks(picks, read_tables(job.input.ledgers, PICK_LEDGER), ", ".join(job.input.picks))
    stations = read_table(job.input.stations, STATIONS)
    window = tuple(parse_time(moment) for moment in job.params.window)
    velocity = params.velocity_model
    model = velocity_model(velocity.p_km_s, velocity.s_km_s, velocity.file)
    events, assignments = associate(picks, stations, model, params, job.wildcards.associator, window)
    files = [velocity.file] if velocity.file else []
    origin = runtime.origin(job, "associate", job.input.stations, *job.input.picks, *files)
    write_table(events, EVENTS, job.output.events, origin)
    write_table(assignments, ASSIGNMENTS, job.output.assignments, origin)
