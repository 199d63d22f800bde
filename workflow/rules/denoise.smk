rule denoise:
    input:
        waveforms=PATHS.waveforms(DATE),
        model=denoiser,
    output:
        temp(directory(PATHS.waveforms(DATE, "{signal}"))),
    log:
        PATHS.log("denoise", "{signal}", DATE),
    benchmark:
        PATHS.benchmark("denoise", "{signal}", DATE)
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        stage_version=STAGE_VERSIONS["denoise"],
        settings=settings_of_denoiser,
    script:
        "../../scripts/denoise.py"
