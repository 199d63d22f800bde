rule synthesize:
    output:
        directory("<results>/synthetic"),
    log:
        "<logs>/synthesize/synthetic.log",
    benchmark:
        "<benchmarks>/synthesize/synthetic.tsv"
    conda:
        "../../envs/pickflow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        **stage_params("synthesize"),
        starttime=config["starttime"],
        endtime=config["endtime"],
    script:
        "../../scripts/synthesize.py"
