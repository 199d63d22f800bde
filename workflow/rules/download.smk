checkpoint inventory:
    input:
        archive_and_inventories,
    output:
        inventory=ensure(PATHS.inventory, non_empty=True),
        stations=ensure(PATHS.stations, non_empty=True),
        epochs=ensure(PATHS.epochs, non_empty=True),
    log:
        PATHS.log("inventory", "stations"),
    benchmark:
        PATHS.benchmark("inventory", "stations")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **RUN.params("inventory", "inventory", "download"),
        span=RUN.span_of_inventory,
    script:
        "../../scripts/inventory.py"


rule download:
    input:
        archive=archive,
        inventory=station_xml,
        stations=station_table,
    output:
        directory(PATHS.waveforms(DATE)),
    log:
        PATHS.log("download", DATE),
    benchmark:
        PATHS.benchmark("download", DATE)
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **RUN.params("download", "download"),
        window=window_of_day,
        stations=stations_of_day,
    script:
        "../../scripts/download.py"
