"""A sweep that a test kills: `sweep_to_kill.py FOLDER WORKERS` trains three runs into a cache, telling every epoch."""

import sys

import ematheory as em


def sweep(folder: str, workers: int) -> None:
    em.train(
        em.tasks.digits_mlp(width=32), em.AdamW(lr=1e-2, weight_decay=[0.1, 1.0, 10.0]), epochs=12,
        cache=folder, checkpoint_every=0, workers=workers, record=em.every(5),
        progress=lambda done, total: print(done, flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    sweep(sys.argv[1], int(sys.argv[2]))
