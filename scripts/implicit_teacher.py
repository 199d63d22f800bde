"""Rule implicit_teacher: the narrow picker of the experiment with implicit models."""

from pathlib import Path

from pickflow.run.job import progress_bars, start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.implicit.experiment.narrow import train_narrow
    from pickflow.models.cards import write_model
    from pickflow.run.settings.implicit import ImplicitParams

    folder = Path(job.output.card).parent
    checkpoint = folder.with_name(f"{folder.name}-checkpoint") / "checkpoint.safetensors"
    with progress_bars() as show:
        model, card = train_narrow(ImplicitParams(**job.config["implicit"]), checkpoint, show)
    write_model(folder, model.state_dict(), card)
