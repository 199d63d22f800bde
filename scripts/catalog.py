"""Rule catalog: events with magnitudes, as tables and in every format asked for."""

from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.io.formats import write_catalog
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.magnitude import corrected, network_magnitudes
    from pickflow.run.settings.magnitude import MagnitudeParams
    from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS

    events, assignments = read_table(job.input.events, EVENTS), read_table(job.input.assignments, ASSIGNMENTS)
    corrections = read_table(job.input.corrections, STATION_CORRECTIONS)
    params = MagnitudeParams(**job.config["magnitude"])
    amplitudes = corrected(read_tables(job.input.amplitudes, AMPLITUDES), params)
    events = network_magnitudes(events, amplitudes, params)
    provenance = provenance_of(job, "magnitude")
    write_table(events, EVENTS, job.output.events, provenance)
    write_table(assignments, ASSIGNMENTS, job.output.assignments, provenance)
    write_table(amplitudes, AMPLITUDES, job.output.amplitudes, provenance)
    write_table(corrections, STATION_CORRECTIONS, job.output.corrections, provenance)
    picks = read_tables(job.input.picks, PICKS)
    for name, path in zip(job.config["catalog"]["formats"], job.output.files, strict=True):
        write_catalog(events, assignments, picks, path, name)
