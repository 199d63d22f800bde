rule analyze:
    input:
        reference=reference,
        waveforms=expand("<results>/waveforms/{date}", date=DAYS),
        stations="<results>/inventory/stations.parquet",
        picks=picks_of_run,
        ledgers=ledgers_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        corrections=catalogs_of_run("station_corrections.parquet"),
        compressions=teachers_of_run("compression.json"),
    output:
        summary=ensure("<results>/summary.json", non_empty=True),
        findings=expand("<results>/analysis/{table}.parquet", table=FINDINGS),
    log:
        "<logs>/analyze/summary.log",
    benchmark:
        "<benchmarks>/analyze/summary.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage_params("analyze"),
        run=config["run"],
        starttime=config["starttime"],
        endtime=config["endtime"],
        catalogs=CATALOGS,
        days=DAYS,
    script:
        "../../scripts/analyze.py"


rule report:
    input:
        summary="<results>/summary.json",
        findings=expand("<results>/analysis/{table}.parquet", table=FINDINGS),
        stations="<results>/inventory/stations.parquet",
        waveforms=expand("<results>/waveforms/{date}", date=DAYS),
        models=models_of_run,
        latencies=teachers_of_run("latency.json"),
        velocity=velocity_file,
        picks=picks_of_run,
        ledgers=ledgers_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        corrections=catalogs_of_run("station_corrections.parquet"),
    output:
        ensure("<results>/report.html", non_empty=True),
    log:
        "<logs>/report/report.log",
    benchmark:
        "<benchmarks>/report/report.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        stage_version=STAGE_VERSIONS["analyze"],
        config=config,
        catalogs=CATALOGS,
        days=DAYS,
    script:
        "../../scripts/report.py"
