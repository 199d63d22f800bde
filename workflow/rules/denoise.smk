rule denoise:
    input:
        waveforms="<results>/waveforms/{date}",
        model=denoiser,
    output:
        temp(directory("<results>/denoised/{signal}/{date}")),
    log:
        "<logs>/denoise/{signal}.{date}.log",
    benchmark:
        "<benchmarks>/denoise/{signal}.{date}.tsv"
    params:
        **stage_params("denoise"),
        batch_size=config["pick"]["batch_size"],
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
        "../../scripts/denoise.py"
