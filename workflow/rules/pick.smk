rule pick:
    input:
        waveforms=signal_of_day,
        tensors=PATHS.model(*PICKER, "model.safetensors"),
        card=PATHS.model(*PICKER, "card.json"),
        quantised=quantised,
    output:
        picks=ensure(PATHS.picks(PICK_SET, DATE), non_empty=True),
        ledger=ensure(PATHS.ledger(PICK_SET, DATE), non_empty=True),
    log:
        PATHS.log("pick", PICK_SET, DATE),
        timing=PATHS.timing(PICK_SET, DATE),
    benchmark:
        PATHS.benchmark("pick", PICK_SET, DATE)
    conda:
        "../../envs/pickflow.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        **RUN.params("pick", "pick"),
        window=window_of_day,
    script:
        "../../scripts/pick.py"
