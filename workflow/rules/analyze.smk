rule analyze:
    input:
        reference=reference,
        waveforms=[PATHS.waveforms(day) for day in DAYS],
        stations=station_table,
        picks=picks_of_run,
        ledgers=ledgers_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        corrections=catalogs_of_run("station_corrections.parquet"),
        compressions=[PATHS.compression(*teacher) for teacher in RUN.students],
    output:
        summary=ensure(PATHS.summary, non_empty=True),
        findings=RUN.findings,
    log:
        PATHS.log("analyze", "summary"),
    benchmark:
        PATHS.benchmark("analyze", "summary")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **RUN.params("analyze", "analyze"),
        run=config["run"],
        span=RUN.span,
        catalogs=list(map(str, RUN.catalogs)),
        days=DAYS,
        stations=stations_of_run,
    script:
        "../../scripts/analyze.py"


rule report:
    input:
        summary=PATHS.summary,
        findings=RUN.findings,
        stations=station_table,
        waveforms=[PATHS.waveforms(day) for day in DAYS],
        models=models_of_run,
        latencies=[PATHS.latency(*teacher) for teacher in RUN.students],
        velocity=velocity_file,
        picks=picks_of_run,
        ledgers=ledgers_of_run,
        events=catalogs_of_run("catalog.parquet"),
        assignments=catalogs_of_run("assignments.parquet"),
        corrections=catalogs_of_run("station_corrections.parquet"),
    output:
        ensure(PATHS.report, non_empty=True),
    log:
        PATHS.log("report", "report"),
    benchmark:
        PATHS.benchmark("report", "report")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        stage_version=STAGE_VERSIONS["analyze"],
        config=RUN.settings_of_report,
        span=RUN.span,
        catalogs=list(map(str, RUN.catalogs)),
        days=DAYS,
        stations=stations_of_run,
    script:
        "../../scripts/report.py"
