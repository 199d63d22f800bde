"""Rule inventory: the stations asked for, with their metadata."""

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.download import DownloadParams, asked_stations, check_source, fetch_inventory
    from pickflow.io.inventory import write_inventory
    from pickflow.io.tables import write_table
    from pickflow.schemas import STATIONS
    from pickflow.windows import parse_time

    params = build(DownloadParams, job.params.settings)
    span = (parse_time(job.params.starttime), parse_time(job.params.endtime))
    check_source(params, *span)
    inventory = fetch_inventory(params, *span)
    stations = asked_stations(inventory, params)
    write_inventory(inventory, job.output.inventory)
    write_table(stations, STATIONS, job.output.stations, runtime.origin(job, "inventory", job.output.inventory))
