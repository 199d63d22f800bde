rule synthesize:
    output:
        directory(PATHS.archive),
    log:
        PATHS.log("synthesize", "synthetic"),
    benchmark:
        PATHS.benchmark("synthesize", "synthetic")
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        **RUN.params("synthesize", "synthesize"),
        span=RUN.span,
    script:
        "../../scripts/synthesize.py"
