"""Rule train: train the bundled picker and score it on held-out records."""

from pathlib import Path

from tqdm import tqdm

from pickflow.run.job import start_job

if __name__ == "__main__":
    job = start_job(snakemake)
    from pickflow.run.settings.train import TrainParams
    from pickflow.train import train

    params = TrainParams(**job.params.settings)
    with tqdm(total=params.epochs, desc="train", unit="epoch") as bar:

        def show(n_done: int, total: int, losses: dict[str, float]) -> None:
            """Move the bar to the epochs done."""
            bar.update(n_done - bar.n)
            bar.set_postfix(losses)

        train(params, Path(job.params.shared), Path(job.output.card).parent, show)
