rule synthesize:
    output:
        directory("<results>/synthetic"),
    log:
        "<logs>/synthesize/synthetic.log",
    benchmark:
        "<benchmarks>/synthesize/synthetic.tsv"
    params:
        **stage_params("synthesize"),
        starttime=config["starttime"],
        endtime=config["endtime"],
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        "../../envs/pickflow.yaml"
    script:
        "../../scripts/synthesize.py"
