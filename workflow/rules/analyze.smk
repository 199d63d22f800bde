rule analyze:
    input:
        reference=reference,
        waveforms=expand("<results>/waveforms/{date}", date=DAYS),
        stations="<results>/inventory/stations.parquet",
        picks=picks_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        compressions=teachers_of_run("compression.json"),
    output:
        summary="<results>/summary.json",
        ledger="<results>/analysis/ledger.parquet",
        reference="<results>/analysis/reference.parquet",
        matches=expand("<results>/analysis/{catalog}/matches.parquet", catalog=CATALOGS),
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
        ledger="<results>/analysis/ledger.parquet",
        reference="<results>/analysis/reference.parquet",
        matches=expand("<results>/analysis/{catalog}/matches.parquet", catalog=CATALOGS),
        stations="<results>/inventory/stations.parquet",
        waveforms=expand("<results>/waveforms/{date}", date=DAYS),
        models=models_of_run,
        latencies=teachers_of_run("latency.json"),
        velocity=velocity_file,
        picks=picks_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
    output:
        "<results>/report.html",
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
