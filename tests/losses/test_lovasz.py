import pytest
import torch
from sklearn.metrics import jaccard_score

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.lovasz import jaccard_slopes, lovasz_sum
from tests.losses.cases import batch, gradient


def jaccard_loss(wrong: set[int], members: set[int]) -> float:
    """1 - IoU when exactly the pixels of `wrong` are labelled wrongly."""
    either = members | wrong
    return len(wrong) / len(either) if either else 0.0


def extension(errors: list[torch.Tensor], members: set[int]) -> torch.Tensor:
    """The Lovász extension as the integral of the loss of {error >= t} over t (Choquet)."""
    values = [error.item() for error in errors]
    total = lower = torch.zeros((), dtype=torch.float64)
    for value in sorted({value for value in values if value > 0}):
        wrong = {place for place, other in enumerate(values) if other >= value}
        upper = errors[values.index(value)]  # and not its value: the gradient goes through it
        total, lower = total + (upper - lower) * jaccard_loss(wrong, members), upper
    return total


def by_definition(logits, mask):
    total = 0.0
    for image, truth in zip(logits.double(), mask, strict=True):
        valid = truth != VOID
        ids = truth[valid].tolist()
        if len(image) == 1:
            errors = [
                (1 - (score if train_id == 1 else -score)).clamp_min(0)
                for score, train_id in zip(image[0][valid], ids, strict=True)
            ]
            members = {place for place, train_id in enumerate(ids) if train_id == 1}
            total = total + extension(errors, members) * len(ids)
            continue
        shares = image.softmax(0)[:, valid]
        losses = []
        for k in set(ids):
            members = {place for place, train_id in enumerate(ids) if train_id == k}
            errors = [
                1 - share if place in members else share for place, share in enumerate(shares[k])
            ]
            losses.append(extension(errors, members))
        total = total + sum(losses) / len(losses) * len(ids)
    return total


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_lovasz_extension_with_the_same_gradient(channels, seed):
    logits, mask = batch(samples=2, channels=channels, height=4, width=5, seed=seed)
    mask[0][mask[0] == 3] = 2  # a class that one image lacks
    found, expected = lovasz_sum(align(logits, mask)), by_definition(logits, mask)
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


def test_of_hard_predictions_it_is_one_minus_sklearns_iou():
    _, mask = batch(samples=1, height=9, width=11)
    seen = torch.randint(0, 4, (1, 9, 11), generator=torch.Generator().manual_seed(5))
    logits = 1000.0 * torch.nn.functional.one_hot(seen, 4).permute(0, 3, 1, 2)
    valid = mask != VOID
    scores = jaccard_score(mask[valid], seen[valid], average=None)
    found = lovasz_sum(align(logits, mask)) / valid.sum()
    assert found.item() == pytest.approx(1 - scores.mean(), abs=1e-6)


def test_one_logit_without_its_class_pays_its_largest_error():
    mask = torch.tensor([[[0, 0, 0, VOID]]], dtype=torch.uint8)
    logits = torch.tensor([[[[0.5, 2.0, -3.0, 9.0]]]], requires_grad=True)
    found = lovasz_sum(align(logits, mask))
    assert found.item() == pytest.approx(3 * (1 + 2.0))
    assert gradient(found, logits).flatten().tolist() == [0, 3, 0, 0]


def test_ties_rank_the_same_in_both_precisions():
    # bf16 knows few numbers, so errors tie; float64 goes through torch's own stable sort.
    logits, mask = batch(samples=2, height=40, width=40)
    coarse = logits.detach().bfloat16().float().round().requires_grad_()
    wide = coarse.detach().double().requires_grad_()
    found, expected = lovasz_sum(align(coarse, mask)), lovasz_sum(align(wide, mask))
    assert coarse.unique().numel() < 40
    torch.testing.assert_close(found, expected.float())


@pytest.mark.parametrize("members", [0, 1, 70, 100])
def test_slopes_are_the_differences_of_the_jaccard_loss(members):
    random = torch.Generator().manual_seed(3)
    order = torch.randperm(100, generator=random)
    truth = torch.zeros(1, 100, dtype=torch.bool)
    truth[0, order[:members]] = True
    belongs = {place for place in range(100) if truth[0, place]}
    losses = [jaccard_loss(set(range(places)), belongs) for places in range(101)]
    expected = torch.tensor(losses, dtype=torch.float64).diff().float()
    torch.testing.assert_close(jaccard_slopes(truth)[0], expected, rtol=1e-6, atol=1e-9)


def test_slopes_of_a_million_pixels_keep_their_digits():
    truth = torch.rand(1, 2**20, generator=torch.Generator().manual_seed(3)) < 0.3
    found, total = jaccard_slopes(truth)[0], int(truth.sum())
    among = truth[0].cumsum(0).double()
    losses = 1 - (total - among) / (total + torch.arange(1, 2**20 + 1) - among)
    assert found.double().sum().item() == pytest.approx(1, rel=1e-5)
    expected = losses.diff(prepend=losses.new_zeros(1))
    assert ((found - expected).abs() <= 1e-6 * expected + 4e-16).all()
