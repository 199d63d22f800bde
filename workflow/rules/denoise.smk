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
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        **stage_params("denoise"),
        batch_size=config["pick"]["batch_size"],
    script:
        "../../scripts/denoise.py"
