rule associate:
    input:
        picks=picks_around_day,
        stations="<results>/inventory/stations.parquet",
        velocity=velocity_file,
    output:
        events="<results>/events/{signal}/{model}/{weights}/{associator}/{date}.events.parquet",
        assignments="<results>/events/{signal}/{model}/{weights}/{associator}/{date}.assignments.parquet",
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


rule catalog:
    input:
        events=expand(
            "<results>/events/{{signal}}/{{model}}/{{weights}}/{{associator}}/{date}.events.parquet", date=DAYS
        ),
        assignments=expand(
            "<results>/events/{{signal}}/{{model}}/{{weights}}/{{associator}}/{date}.assignments.parquet", date=DAYS
        ),
        picks=expand("<results>/picks/{{signal}}/{{model}}/{{weights}}/{date}.parquet", date=DAYS),
    output:
        events="<results>/catalog/{signal}/{model}/{weights}/{associator}/catalog.parquet",
        assignments="<results>/catalog/{signal}/{model}/{weights}/{associator}/assignments.parquet",
        csv="<results>/catalog/{signal}/{model}/{weights}/{associator}/catalog.csv",
        quakeml="<results>/catalog/{signal}/{model}/{weights}/{associator}/catalog.quakeml",
    log:
        "<logs>/catalog/{signal}.{model}.{weights}.{associator}.log",
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        stage_version=STAGE_VERSIONS["associate"],
    script:
        "../../scripts/catalog.py"
