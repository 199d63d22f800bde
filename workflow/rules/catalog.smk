rule catalog:
    input:
        events=PATHS.located(CATALOG, "events"),
        assignments=PATHS.located(CATALOG, "assignments"),
        corrections=PATHS.located(CATALOG, "station_corrections"),
        amplitudes=[PATHS.amplitudes(CATALOG, day) for day in DAYS],
        picks=[PATHS.picks(PICK_SET, day) for day in DAYS],
    output:
        events=ensure(PATHS.catalog(CATALOG, "catalog.parquet"), non_empty=True),
        assignments=ensure(PATHS.catalog(CATALOG, "assignments.parquet"), non_empty=True),
        amplitudes=ensure(PATHS.catalog(CATALOG, "amplitudes.parquet"), non_empty=True),
        corrections=ensure(PATHS.catalog(CATALOG, "station_corrections.parquet"), non_empty=True),
        files=[PATHS.catalog(CATALOG, file) for file in RUN.catalog_files],
    log:
        PATHS.log("catalog", CATALOG),
    benchmark:
        PATHS.benchmark("catalog", CATALOG)
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        **RUN.params("catalog", "magnitude"),
    script:
        "../../scripts/catalog.py"
