rule amplitude:
    input:
        events="<results>/located/{signal}/{model}/{weights}/{associator}/events.parquet",
        assignments="<results>/located/{signal}/{model}/{weights}/{associator}/assignments.parquet",
        picks=picks_around_day,
        waveforms="<results>/waveforms/{date}",
        stations="<results>/inventory/stations.parquet",
        inventory="<results>/inventory/stations.xml",
        velocity=velocity_file,
    output:
        amplitudes=ensure("<results>/amplitudes/{signal}/{model}/{weights}/{associator}/{date}.parquet", non_empty=True),
    log:
        "<logs>/amplitude/{signal}.{model}.{weights}.{associator}.{date}.log",
    benchmark:
        "<benchmarks>/amplitude/{signal}.{model}.{weights}.{associator}.{date}.tsv"
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage_params("magnitude"),
        velocity_model=config["associate"]["velocity_model"],
    script:
        "../../scripts/amplitude.py"
