rule associate:
    input:
        picks=picks_around_day,
        ledgers=ledgers_around_day,
        stations=station_table,
        velocity=velocity_file,
    output:
        events=ensure(PATHS.associated(CATALOG, DATE, "events"), non_empty=True),
        assignments=ensure(PATHS.associated(CATALOG, DATE, "assignments"), non_empty=True),
    log:
        PATHS.log("associate", CATALOG, DATE),
    benchmark:
        PATHS.benchmark("associate", CATALOG, DATE)
    conda:
        "../../envs/pickflow.yaml"
    threads: config["associate"]["threads"]
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        stage_version=STAGE_VERSIONS["associate"],
        settings=settings_of_associator,
        window=window_of_day,
        stations=stations_around_day,
    script:
        "../../scripts/associate.py"
