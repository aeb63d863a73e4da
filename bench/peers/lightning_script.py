"""A training with Lightning, as its pages on checkpoints and "Trainer", section "Reproducibility", show it.

`seed_everything(workers=True)`, `Trainer(deterministic=True)`, a `ModelCheckpoint` every few steps and
`ckpt_path="last"`. --stateful: the data loader is resumable, as Lightning's own warning asks for.
--by-hand: order and augmentation are functions of (epoch, sample), dropout one of the step.
"""

import argparse
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LinearLR
from torch.utils.data import DataLoader

from bench.peers import task
from segpipe.models.unet import unet


class Segmentation(L.LightningModule):  # type: ignore[misc]
    """The U-Net, its data, its loss and its optimizer."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.network = unet(3, len(task.CLASSES), task.UNETS[options.norm])
        self.options, self.log_of_steps = options, task.StepLog()

    def train_dataloader(self) -> Any:
        """Return the loader; by hand it is made anew each epoch and starts at the present step."""
        kind: Any = DataLoader
        if self.options.by_hand:
            part = task.EpochBatches(self.global_step)
            return kind(task.Scenes(), batch_sampler=part, num_workers=task.WORKERS)
        if self.options.stateful:
            from torchdata import stateful_dataloader

            kind = stateful_dataloader.StatefulDataLoader
        size = task.BATCH // task.rank_and_world()[1]
        return kind(task.Scenes(), size, shuffle=True, num_workers=task.WORKERS)

    def training_step(self, batch: list[Tensor], _number: int) -> Tensor:
        """Return the loss of this process's part of a batch."""
        image, mask, index = batch
        if self.options.by_hand:
            torch.manual_seed(self.global_step)
        loss = cross_entropy(self.network(image), mask)
        self.log_of_steps.add(self.global_step, index.tolist(), loss.item())
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW with a rate that falls each step."""
        optimizer = torch.optim.AdamW(self.network.parameters(), task.LR)
        schedule = LinearLR(optimizer, 1.0, 0.1, total_iters=task.STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    """Train to the end, from the last checkpoint that lies in checkpoints/."""
    options = task.script_options()
    L.seed_everything(task.SEED, workers=True)
    model = Segmentation(options)
    world = task.rank_and_world()[1]
    checkpoint = ModelCheckpoint(
        dirpath="checkpoints",
        filename="{step}",
        every_n_train_steps=task.CHECKPOINT_STEPS,
        save_top_k=-1,
        save_last=True,
    )
    trainer = L.Trainer(
        accelerator="cpu",
        devices=world,
        strategy="ddp" if world > 1 else "auto",
        max_epochs=task.EPOCHS,
        deterministic=True,
        use_distributed_sampler=not options.by_hand,
        reload_dataloaders_every_n_epochs=int(options.by_hand),
        callbacks=[checkpoint],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, ckpt_path="last")
    if trainer.is_global_zero:
        save_file(model.network.state_dict(), "final.safetensors")


if __name__ == "__main__":
    main()
