rule pick:
    input:
        waveforms=signal_of_day,
        tensors="<results>/models/{model}/{weights}/model.safetensors",
        card="<results>/models/{model}/{weights}/card.json",
    output:
        picks="<results>/picks/{signal}/{model}/{weights}/{date}.parquet",
        ledger="<results>/picks/{signal}/{model}/{weights}/{date}.ledger.parquet",
    log:
        "<logs>/pick/{signal}.{model}.{weights}.{date}.log",
    benchmark:
        "<benchmarks>/pick/{signal}.{model}.{weights}.{date}.tsv"
    params:
        **stage_params("pick"),
        window=window_of_day,
        device=DEVICE,
        dask_scheduler=config["compute"]["dask_scheduler"],
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=120,
        **GPU,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/pick.py"
