rule locate:
    input:
        events=[PATHS.associated(CATALOG, day, "events") for day in DAYS],
        assignments=[PATHS.associated(CATALOG, day, "assignments") for day in DAYS],
        picks=[PATHS.picks(PICK_SET, day) for day in DAYS],
        stations=station_table,
        velocity=velocity_file,
    output:
        events=ensure(PATHS.located(CATALOG, "events"), non_empty=True),
        assignments=ensure(PATHS.located(CATALOG, "assignments"), non_empty=True),
        corrections=ensure(PATHS.located(CATALOG, "station_corrections"), non_empty=True),
    log:
        PATHS.log("locate", CATALOG),
    benchmark:
        PATHS.benchmark("locate", CATALOG)
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **RUN.params("locate", "locate"),
        velocity_model=RUN.velocity,
        stations=stations_of_run,
    script:
        "../../scripts/locate.py"
