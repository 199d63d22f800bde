rule locate:
    input:
        events=expand(
            "<results>/events/{{signal}}/{{model}}/{{weights}}/{{associator}}/{date}.events.parquet", date=DAYS
        ),
        assignments=expand(
            "<results>/events/{{signal}}/{{model}}/{{weights}}/{{associator}}/{date}.assignments.parquet", date=DAYS
        ),
        picks=expand("<results>/picks/{{signal}}/{{model}}/{{weights}}/{date}.parquet", date=DAYS),
        stations="<results>/inventory/stations.parquet",
        velocity=velocity_file,
    output:
        events=ensure("<results>/located/{signal}/{model}/{weights}/{associator}/events.parquet", non_empty=True),
        assignments=ensure(
            "<results>/located/{signal}/{model}/{weights}/{associator}/assignments.parquet", non_empty=True
        ),
        corrections=ensure(
            "<results>/located/{signal}/{model}/{weights}/{associator}/station_corrections.parquet", non_empty=True
        ),
    log:
        "<logs>/locate/{signal}.{model}.{weights}.{associator}.log",
    benchmark:
        "<benchmarks>/locate/{signal}.{model}.{weights}.{associator}.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        **stage_params("locate"),
        velocity_model=config["associate"]["velocity_model"],
    script:
        "../../scripts/locate.py"
