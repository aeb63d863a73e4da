"""The loop: which rows there are, what stops it, and that a stop changes nothing."""

import csv
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from segpipe.bundle import plain_weights
from segpipe.models.parts.network import Logits, Network
from segpipe.params.augment import AugmentParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.optimizer import RMSpropParams, SGDParams
from segpipe.params.schedule import PlateauParams
from segpipe.params.train import EarlyStoppingParams, PartialValidationParams
from segpipe.results.records import read_table
from segpipe.results.training import ClassHistoryRow, HistoryRow, TrainingSummary
from segpipe.runtime.trial import FOLDER, ask_to_end
from segpipe.training import step
from segpipe.training.distributed.signals import Interrupted
from segpipe.training.optimizer import optimizer_tensors
from segpipe.training.watch.publish import training_summary, write_history, write_planned_rates
from tests.published import LEARNT


def learnt(rows: list[dict]) -> list[list[float | None]]:
    return [[row.get(name) for name in LEARNT] for row in rows]


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    ours, theirs = plain_weights(first), plain_weights(second)
    assert len(ours) > 10
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_a_row_at_each_validation_and_at_each_epochs_end(dataset, trained, tmp_path: Path) -> None:
    options = {"length": Length(12, "steps"), "validate_every": Length(6, "samples")}
    job, progress, rows = trained(dataset, **options)
    assert job.lengths.epoch == 5
    assert [(row["epoch"], row["step"]) for row in rows] == [
        *((0.6, 3), (1, 5), (1.2, 6), (1.8, 9), (2, 10), (2.4, 12))
    ]
    validated = [row["step"] for row in rows if row["val_loss"] is not None]
    assert validated == [3, 6, 9, 12]
    assert rows == progress.history
    assert sorted(progress.row_times) == progress.row_times
    assert len(progress.row_times) == len(rows)
    write_history(progress, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["epoch"] for row in written] == ["0.6", "1", "1.2", "1.8", "2", "2.4"]
    assert written[1]["val_miou"] == "" != written[0]["val_miou"]
    by_class = read_table(ClassHistoryRow, tmp_path / "class_history.csv")
    classes = job.data.dataset.scheme.classes
    assert [(row.step, row.class_name) for row in by_class] == [
        (step, name) for step in validated for name in classes
    ]
    last = [row.iou for row in by_class[-len(classes) :] if row.iou is not None]
    assert sum(last) / len(last) == pytest.approx(rows[-1]["val_miou"], abs=1e-5)
    assert "train_miou" not in written[0], "no column of what was not counted"
    assert float(written[0]["val_weighted_f1"]) == pytest.approx(rows[0]["val_weighted_f1"])
    summary = training_summary(job, progress, None)
    assert (summary.steps, summary.epochs) == (12, 2.4)
    assert summary.val_miou == max(row["val_miou"] or 0 for row in rows)
    unset = TrainingSummary.model_fields.keys() - summary.model_fields_set
    assert unset == {"threshold", "pruned", "limit", "overfit", "mlflow_run"}


def test_the_rows_mean_losses_are_those_of_their_steps(dataset, trained) -> None:
    """Validating in between changes no step, so the rows of an epoch add up to its one row."""
    *_, whole = trained(dataset, state="a", validate_every=Length(2))
    *_, cut = trained(dataset, state="b", validate_every=Length(1, "steps"))
    assert len(whole) == 2
    assert len(cut) == 10
    for epoch in (0, 1):
        parts = [row["train_loss"] for row in cut[5 * epoch : 5 * epoch + 5]]
        # Each step has as many valid pixels, but for those that augmentation moves out of sight.
        assert sum(parts) / 5 == pytest.approx(whole[epoch]["train_loss"], rel=0.02)
    assert cut[-1]["val_loss"] == whole[-1]["val_loss"]


def test_the_scores_of_the_training_are_those_of_the_steps_own_predictions(
    dataset, trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Counted pixel by pixel here; and counting changes nothing of what is learnt."""
    options = {"length": Length(5, "steps"), "validate_every": Length(3, "steps")}
    options |= {"batch_size": 4, "accumulation": 2}
    plain, _, plain_rows = trained(dataset, state="plain", **options)
    pixels: list[tuple[int, int]] = []

    def seen(objective, outputs, mask_BHW, confusion_KK):
        ids = outputs.detach().max(1).indices
        pixels.extend(zip(mask_BHW.flatten().tolist(), ids.flatten().tolist(), strict=True))
        return loss_sums(objective, outputs, mask_BHW, confusion_KK)

    loss_sums = step._loss_sums
    monkeypatch.setattr(step, "_loss_sums", seen)
    expected: list[tuple[float, float]] = []

    def by_hand(_job: object) -> None:
        valid = [pair for pair in pixels if pair[0] != 255]
        pixels.clear()
        hits = Counter(true for true, said in valid if true == said)
        unions = Counter(true for true, _ in valid) + Counter(said for _, said in valid)
        ious = [hits[k] / (unions[k] - hits[k]) for k in unions]
        expected.append((sum(ious) / len(ious), hits.total() / len(valid)))

    job, progress, rows = trained(dataset, state="counted", scores=True, each=by_hand, **options)
    found = [(row["train_miou"], row["train_pixel_accuracy"]) for row in rows]
    assert len(found) == 4
    assert found == [pytest.approx(pair) for pair in expected]
    assert_same_weights(plain.learner.network, job.learner.network)
    for row, before in zip(rows, plain_rows, strict=True):
        assert "train_miou" not in before
        assert row["train_loss"] == before["train_loss"]
    write_history(progress, tmp_path / "history.csv")
    read = read_table(HistoryRow, tmp_path / "history.csv")
    assert [row.train_miou for row in read] == [pytest.approx(one, rel=1e-5) for one, _ in found]


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "ema": 0.9},
        {"optimizer": "adam", "schedule": "one_cycle"},
        {"optimizer": "muon", "ema": 0.9},
        {"optimizer": "sgd", "ema": 0.99},
        {
            "optimizer": "adamw",
            "augment": AugmentParams(noise=(0.0, 9.0), blur=(0.0, 2.0)),
            "scores": True,
        },
        {
            "optimizer": "sgd",
            "partial_validation": PartialValidationParams(every=Length(2, "steps"), samples=3),
        },
        {"optimizer": "rmsprop", "rmsprop": RMSpropParams(momentum=0.9), "lr": 0.001},
        {
            "schedule": "plateau",
            "plateau": PlateauParams(metric="train_loss", patience=0, threshold=0.9),
            "early_stopping": EarlyStoppingParams(metric="val_loss", patience=4, threshold=10.0),
        },
    ],
    ids=lambda options: "-".join(str(value) for value in list(options.values())[:2]),
)
@pytest.mark.parametrize("stop", [4, pytest.param(6, marks=pytest.mark.slow)])
def test_a_stopped_run_ends_in_the_same_bits(stop: int, options: dict, dataset, trained) -> None:
    options = {"validate_every": Length(3, "steps"), "length": Length(9, "steps"), **options}
    job, progress, rows = trained(dataset, state="whole", **options)
    with pytest.raises(Interrupted):
        trained(dataset, state="cut", stop=stop, **options)
    again, its_progress, its_rows = trained(dataset, state="cut", **options)
    assert_same_weights(job.learner.network, again.learner.network)
    assert_same_weights(job.learner.result, again.learner.result)
    theirs = optimizer_tensors(again.learner.optimizer)
    for name, value in optimizer_tensors(job.learner.optimizer).items():
        assert torch.equal(value, theirs[name]), name
    assert learnt(its_progress.history) == learnt(rows)
    assert its_progress.best_row == progress.best_row
    # In the last step a stop comes before the validation, which is then the first thing to do.
    logged_before = [row for row in rows if row["step"] < stop]
    assert learnt(its_rows) == learnt(rows[len(logged_before) :]), "no row is logged twice"
    best, its_best = job.learner.best, again.learner.best
    assert len(best) > 10
    assert all(torch.equal(value, its_best[name]) for name, value in best.items())


def test_plateau_lowers_the_rate_by_what_was_validated(dataset, trained) -> None:
    plateau = PlateauParams(metric="val_loss", patience=0, threshold=10.0, factor=0.5)
    *_, rows = trained(
        dataset,
        schedule="plateau",
        plateau=plateau,
        warmup=Length(0),
        validate_every=Length(2, "steps"),
    )
    # No value is a gain but the first, so the rate falls at every validation after it.
    validated = [row["lr"] for row in rows if row["val_loss"] is not None]
    assert validated == pytest.approx([0.01, 0.01, 0.005, 0.0025, 0.00125])


def test_early_stopping_ends_after_its_validations(dataset, trained) -> None:
    stopping = EarlyStoppingParams(metric="val_miou", patience=2, threshold=2.0)
    options = {"early_stopping": stopping, "validate_every": Length(2, "steps")}
    job, progress, rows = trained(dataset, **options)
    assert progress.step == 6 < job.lengths.total
    again, its_progress, its_rows = trained(dataset, **options)
    assert (its_progress.step, its_rows) == (6, []), "it stays at its end"
    best = max(row["val_miou"] for row in rows if row["val_miou"] is not None)
    assert training_summary(again, its_progress, None).val_miou == best


def test_a_sweep_ends_a_training_at_its_next_validation(
    dataset, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"validate_every": Length(2, "steps")}
    _, whole, _ = trained(dataset, state="whole", **options)
    assert not whole.pruned
    monkeypatch.setenv(FOLDER, str(tmp_path))
    ask_to_end(tmp_path)
    job, progress, rows = trained(dataset, **options)
    assert (progress.pruned, progress.step) == (True, 2)
    assert learnt(rows) == learnt(whole.history[:1])
    assert training_summary(job, progress, None).pruned is True
    _, again, its_rows = trained(dataset, **options)
    assert (again.step, its_rows) == (2, []), "it stays at its end"


def test_the_average_is_what_is_validated_and_kept(dataset, trained) -> None:
    plain, _, rows = trained(dataset, state="plain")
    job, progress, averaged_rows = trained(dataset, state="average", ema=0.9)
    assert_same_weights(plain.learner.network, job.learner.network)
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in averaged_rows]
    assert rows[-1]["val_loss"] != averaged_rows[-1]["val_loss"]
    assert progress.best_row == len(progress.history) - 1
    best = job.learner.best
    for name, value in plain_weights(job.learner.average.network).items():
        assert torch.equal(value, best[name]), name


def test_the_planned_rates_are_those_that_come(dataset, trained, tmp_path: Path) -> None:
    job, _, rows = trained(dataset, schedule="cosine", validate_every=Length(1, "steps"))
    write_planned_rates(job.train, job.lengths, tmp_path / "planned.csv")
    with (tmp_path / "planned.csv").open() as file:
        planned = list(csv.DictReader(file))
    assert [float(row["lr"]) for row in planned] == pytest.approx(
        [row["lr"] for row in rows], rel=1e-5
    )
    assert [int(row["step"]) for row in planned] == list(range(1, 11))
    assert [float(row["epoch"]) for row in planned] == [row["epoch"] for row in rows]


class TwoHeads(Network):
    """Two 1x1 convolutions over one body; in training both are returned."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary_heads = 1
        self.body, self.head, self.auxiliary = (nn.Conv2d(channels, 3, 1) for channels in (3, 3, 3))

    def forward(self, image_BCHW: torch.Tensor) -> Logits:
        x = self.body(image_BCHW).relu()
        return (self.head(x), self.auxiliary(x)) if self.training else self.head(x)


def test_auxiliary_heads_learn_by_their_weight_and_are_no_train_loss(
    dataset, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segpipe.training.setup.build_model", lambda *_arguments: TwoHeads())
    options = {"length": Length(1, "steps"), "warmup": Length(0), "clip": None, "lr": 0.1}
    options |= {"optimizer": "sgd", "sgd": SGDParams(momentum=0.0, nesterov=False)}
    moved, losses = {}, []
    for weight in (0.0, 0.2, 0.4):
        torch.manual_seed(0)
        first = TwoHeads().state_dict()
        job, _, rows = trained(
            dataset,
            state=str(weight),
            loss=LossParams(auxiliary=weight),
            weight_decay=0.0,
            **options,
        )
        losses.append(rows[0]["train_loss"])
        moved[weight] = {
            name: value - first[name] for name, value in job.learner.network.state_dict().items()
        }
    assert losses[0] == losses[1] == losses[2]
    assert not moved[0.0]["auxiliary.weight"].any()
    for name, change in moved[0.4].items():
        # Plain gradient descent moves by main + weight * auxiliary.
        by_weight = (moved[0.2][name] - moved[0.0][name]) * 2
        torch.testing.assert_close(change, moved[0.0][name] + by_weight, rtol=1e-3, atol=1e-6)
    assert moved[0.4]["auxiliary.weight"].abs().max() > 1e-4
    assert not torch.equal(moved[0.4]["body.weight"], moved[0.0]["body.weight"])
    torch.testing.assert_close(moved[0.4]["head.weight"], moved[0.0]["head.weight"])
