rule pick:
    input:
        waveforms=signal_of_day,
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
        quantised=quantised,
    output:
        picks=ensure("<results>/picks/{signal}/{model}/{weights}/{date}.parquet", non_empty=True),
        ledger=ensure("<results>/picks/{signal}/{model}/{weights}/{date}.ledger.parquet", non_empty=True),
    log:
        "<logs>/pick/{signal}.{model}.{weights}.{date}.log",
        timing="<logs>/pick/{signal}.{model}.{weights}.{date}.timing.json",
    benchmark:
        "<benchmarks>/pick/{signal}.{model}.{weights}.{date}.tsv"
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        **stage_params("pick"),
        window=window_of_day,
    script:
        "../../scripts/pick.py"
