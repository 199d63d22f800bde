"""Rule download: waveforms of a day, and its manifest."""

from pathlib import Path

from pickflow.run.job import provenance_of, start_job, workers_of

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.download import download_day, require_answers
    from pickflow.io.inventory import read_inventory
    from pickflow.io.places import read_stations
    from pickflow.io.tables import write_table
    from pickflow.run.layout import manifest_of
    from pickflow.run.settings.download import DownloadParams
    from pickflow.schemas import MANIFEST
    from pickflow.windows import parse_time

    day, folder = job.wildcards.date, Path(job.output[0])
    window = tuple(parse_time(moment) for moment in job.params.window)
    stations = read_stations(job.input.stations, [day])
    inventory = read_inventory([job.input.inventory])
    params = DownloadParams(**job.config["download"])
    with workers_of(job, f"download {day}") as station_map:
        manifest = download_day(day, window, stations, inventory, params, folder, station_map)
    if job.config["download"]["fdsn"]["server_errors"] == "ask_again":
        require_answers(manifest, params)
    provenance = provenance_of(job, "download")
    write_table(manifest, MANIFEST, manifest_of(folder), provenance)
