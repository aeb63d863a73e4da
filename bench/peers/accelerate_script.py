"""A training with Accelerate, as its page "Checkpointing" and examples/by_feature/checkpointing.py show it.

A state every few steps in step_N, the newest one loaded at the start, the batches that were trained on
skipped. `use_seedable_sampler`, `set_seed(deterministic=True)` and `split_batches` are what its reference
names for equal results. --stateful: the loader's place is part of the state. --by-hand: order and
augmentation are functions of (epoch, sample), dropout one of the step.
"""

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LinearLR
from torch.utils.data import DataLoader

from bench.peers import task
from segpipe.models.unet import unet


def main() -> None:
    """Train to the end, from the newest state that lies in checkpoints/."""
    options = task.script_options()
    configuration = DataLoaderConfiguration(
        split_batches=True, use_seedable_sampler=True, use_stateful_dataloader=options.stateful
    )
    accelerator = Accelerator(cpu=True, dataloader_config=configuration)
    set_seed(task.SEED, deterministic=True)
    network = unet(3, len(task.CLASSES), task.UNETS[options.norm])
    optimizer = torch.optim.AdamW(network.parameters(), task.LR)
    model, optimizer, loader, scheduler = accelerator.prepare(
        network,
        optimizer,
        DataLoader(task.Scenes(), task.BATCH, shuffle=True, num_workers=task.WORKERS),
        LinearLR(optimizer, 1.0, 0.1, total_iters=task.STEPS),
    )
    step, first_epoch, done = 0, 0, 0
    if states := sorted(Path("checkpoints").glob("step_*"), key=_step):
        accelerator.load_state(str(states[-1]))
        step = _step(states[-1])
        first_epoch, done = divmod(step, len(loader))
    log = task.StepLog()
    for epoch in range(first_epoch, task.EPOCHS):
        active = loader
        if options.by_hand:
            part = task.EpochBatches(step)
            active = DataLoader(task.Scenes(), batch_sampler=part, num_workers=task.WORKERS)
        elif epoch == first_epoch and not options.stateful:
            active = accelerator.skip_first_batches(loader, done)
        for image, mask, index in active:
            if options.by_hand:
                torch.manual_seed(step)
            loss = cross_entropy(model(image), mask)
            accelerator.backward(loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            log.add(step, index.tolist(), loss.item())
            step += 1
            if step % task.CHECKPOINT_STEPS == 0:
                accelerator.save_state(f"checkpoints/step_{step}")
    if accelerator.is_main_process:
        save_file(accelerator.unwrap_model(model).state_dict(), "final.safetensors")
    accelerator.end_training()


def _step(state: Path) -> int:
    return int(state.name.removeprefix("step_"))


if __name__ == "__main__":
    main()
