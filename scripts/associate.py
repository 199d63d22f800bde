"""Rule associate: events with origins on a day, from the picks around it."""

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.associate import associate
    from pickflow.comparison.completeness import check_picks
    from pickflow.io.places import read_stations
    from pickflow.io.tables import read_tables, write_table
    from pickflow.run.settings.associate import AssociateParams
    from pickflow.schemas import ASSIGNMENTS, EVENTS, PICK_LEDGER, PICKS
    from pickflow.travel_times.files import velocity_model
    from pickflow.windows import parse_time

    params = AssociateParams(**job.config["associate"] | {"threads": job.threads})
    picks = read_tables(job.input.picks, PICKS)
    check_picks(picks, read_tables(job.input.ledgers, PICK_LEDGER), ", ".join(job.input.picks))
    window = tuple(parse_time(moment) for moment in job.params.window)
    stations = read_stations(job.input.stations, [job.wildcards.date])
    velocity = params.velocity_model
    model = velocity_model(velocity.p_km_s, velocity.s_km_s, velocity.file)
    events, assignments = associate(picks, stations, model, params, job.wildcards.associator, window)
    provenance = provenance_of(job, "associate")
    write_table(events, EVENTS, job.output.events, provenance)
    write_table(assignments, ASSIGNMENTS, job.output.assignments, provenance)
