rule associate:
    input:
        picks=picks_around_day,
        ledgers=ledgers_around_day,
        stations="<results>/inventory/stations.parquet",
        velocity=velocity_file,
    output:
        events=ensure("<results>/events/{signal}/{model}/{weights}/{associator}/{date}.events.parquet", non_empty=True),
        assignments=ensure(
            "<results>/events/{signal}/{model}/{weights}/{associator}/{date}.assignments.parquet", non_empty=True
        ),
    log:
        "<logs>/associate/{signal}.{model}.{weights}.{associator}.{date}.log",
    benchmark:
        "<benchmarks>/associate/{signal}.{model}.{weights}.{associator}.{date}.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **stage_params("associate"),
        window=window_of_day,
    script:
        "../../scripts/associate.py"
