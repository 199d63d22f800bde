"""Rule download: waveforms of a day, and its manifest."""

from pathlib import Path

from pickflow import runtime

if __name__ == "__main__":
    job = runtime.start(snakemake)
    from pickflow.config import build
    from pickflow.download import DownloadParams, download_day, require_answers
    from pickflow.io.inventory import read_inventory
    from pickflow.io.tables import read_table, write_table
    from pickflow.schemas import MANIFEST, STATIONS
    from pickflow.windows import parse_time

    day, folder = job.wildcards.date, Path(job.output[0])
    window = tuple(parse_time(moment) for moment in job.params.window)
    stations = read_table(job.input.stations, STATIONS)
    inventory = read_inventory([job.input.inventory])
    params = build(DownloadParams, job.params.settings)
    with runtime.station_map(job, f"download {day}") as station_map:
        manifest = download_day(day, window, stations, inventory, params, folder, station_map)
    if job.config["download"]["fdsn"]["server_errors"] == "ask_again":
        require_answers(manifest, params)
    origin = runtime.origin(job, "download", job.input.inventory, job.input.stations)
    write_table(manifest, MANIFEST, folder / "manifest.parquet", origin)
