rule inventory:
    input:
        archive,
    output:
        inventory=ensure("<results>/inventory/stations.xml", non_empty=True),
        stations=ensure("<results>/inventory/stations.parquet", non_empty=True),
    log:
        "<logs>/inventory/stations.log",
    benchmark:
        "<benchmarks>/inventory/stations.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage_params("inventory", "download"),
        starttime=config["starttime"],
        endtime=config["endtime"],
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
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        **stage_params("download"),
        window=window_of_day,
    script:
        "../../scripts/download.py"
