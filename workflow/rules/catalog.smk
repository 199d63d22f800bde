rule catalog:
    input:
        events="<results>/located/{signal}/{model}/{weights}/{associator}/events.parquet",
        assignments="<results>/located/{signal}/{model}/{weights}/{associator}/assignments.parquet",
        corrections="<results>/located/{signal}/{model}/{weights}/{associator}/station_corrections.parquet",
        amplitudes=expand(
            "<results>/amplitudes/{{signal}}/{{model}}/{{weights}}/{{associator}}/{date}.parquet", date=DAYS
        ),
        picks=expand("<results>/picks/{{signal}}/{{model}}/{{weights}}/{date}.parquet", date=DAYS),
    output:
        events=ensure("<results>/catalog/{signal}/{model}/{weights}/{associator}/catalog.parquet", non_empty=True),
        assignments=ensure(
            "<results>/catalog/{signal}/{model}/{weights}/{associator}/assignments.parquet", non_empty=True
        ),
        amplitudes=ensure(
            "<results>/catalog/{signal}/{model}/{weights}/{associator}/amplitudes.parquet", non_empty=True
        ),
        corrections=ensure(
            "<results>/catalog/{signal}/{model}/{weights}/{associator}/station_corrections.parquet", non_empty=True
        ),
        files=expand("<results>/catalog/{{signal}}/{{model}}/{{weights}}/{{associator}}/{file}", file=CATALOG_FILES),
    log:
        "<logs>/catalog/{signal}.{model}.{weights}.{associator}.log",
    benchmark:
        "<benchmarks>/catalog/{signal}.{model}.{weights}.{associator}.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        **stage_params("magnitude"),
        formats=config["catalog"]["formats"],
    script:
        "../../scripts/catalog.py"
