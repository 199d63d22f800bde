rule inventory:
    input:
        archive,
    output:
        inventory="<results>/inventory/stations.xml",
        stations="<results>/inventory/stations.parquet",
    log:
        "<logs>/inventory/stations.log",
    benchmark:
        "<benchmarks>/inventory/stations.tsv"
    params:
        **stage_params("inventory", "download"),
        starttime=config["starttime"],
        endtime=config["endtime"],
        cache=f"{RESULTS}/cache",
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/inventory.py"


rule download:
    input:
        archive=archive,
        inventory="<results>/inventory/stations.xml",
        stations="<results>/inventory/stations.parquet",
    output:
        directory("<results>/waveforms/{date}"),
    log:
        "<logs>/download/{date}.log",
    benchmark:
        "<benchmarks>/download/{date}.tsv"
    params:
        **stage_params("download"),
        window=window_of_day,
        cache=f"{RESULTS}/cache",
        dask_scheduler=config["compute"]["dask_scheduler"],
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=240,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/download.py"
