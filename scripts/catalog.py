"""Rule catalog: events with magnitudes, as tables and in every format asked for."""

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.io.formats import write_catalog
    from pickflow.io.tables import read_table, read_tables, write_table
    from pickflow.magnitude import MagnitudeParams, corrected, network_magnitudes
    from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS

    events, assignments = read_table(job.input.events, EVENTS), read_table(job.input.assignments, ASSIGNMENTS)
    corrections = read_table(job.input.corrections, STATION_CORRECTIONS)
    params = build(MagnitudeParams, job.params.settings)
    amplitudes = corrected(read_tables(job.input.amplitudes, AMPLITUDES), params)
    events = network_magnitudes(events, amplitudes, params)
    origin = runtime.origin(job, "magnitude", job.input.events, job.input.assignments, *job.input.amplitudes)
    write_table(events, EVENTS, job.output.events, origin)
    write_table(assignments, ASSIGNMENTS, job.output.assignments, origin)
    write_table(amplitudes, AMPLITUDES, job.output.amplitudes, origin)
    write_table(corrections, STATION_CORRECTIONS, job.output.corrections, origin)
    picks = read_tables(job.input.picks, PICKS)
    for name, path in zip(job.params.formats, job.output.files, strict=True):
        write_catalog(events, assignments, picks, path, name)
