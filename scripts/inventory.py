"""Rule inventory: the requested stations, with their metadata."""

from pickflow.run import stations_of_days
from pickflow.run.job import provenance_of, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.download import check_source, fetch_inventory, requested_stations
    from pickflow.download.epochs import epochs_of
    from pickflow.io.atomic import write_text
    from pickflow.io.inventory import write_inventory
    from pickflow.io.tables import write_table
    from pickflow.run.settings.download import DownloadParams
    from pickflow.schemas import STATIONS
    from pickflow.windows import parse_time

    params = DownloadParams(**job.config["download"])
    span = tuple(parse_time(job.config[name]) for name in ("starttime", "endtime"))
    check_source(params, *span)
    inventory = fetch_inventory(params, *span)
    stations = requested_stations(inventory, params, span if job.params.span else None)  # files: of all times
    write_inventory(inventory, job.output.inventory)
    provenance = provenance_of(job, "inventory", job.output.inventory, *params.inventory)
    write_table(stations, STATIONS, job.output.stations, provenance)
    request = stations_of_days.request_of(job.params.settings, job.params.span)
    codes = stations["network"] + "." + stations["station"]
    epochs = epochs_of(job.output.inventory, stations)
    write_text(job.output.epochs, stations_of_days.text(request, set(codes), epochs))
