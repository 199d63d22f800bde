rule pick:
    input:
        waveforms=signal_of_day,
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
        quantised=quantised,
    output:
        picks="<results>/picks/{signal}/{model}/{weights}/{date}.parquet",
        ledger="<results>/picks/{signal}/{model}/{weights}/{date}.ledger.parquet",
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
        dask_scheduler=config["compute"]["dask_scheduler"],
    script:
        "../../scripts/pick.py"
