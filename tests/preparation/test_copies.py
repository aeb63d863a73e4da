"""Changed copies: each change against Pillow, torchvision, scipy or a loop; the draws; bad days."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from torchvision.transforms import functional as reference

from segpipe.labels.scheme import VOID
from segpipe.params.prepare import CopyParams
from segpipe.preparation.copies import changed_copy, changes_on, refuse_impossible
from segpipe.preparation.copy_changes import (
    add_noise,
    apply_gamma,
    blur,
    brighten,
    gaussian_kernel,
    saturate,
    zoom_and_rotate,
)
from segpipe.runtime.errors import ParameterError

H, W = 37, 50
# What turns each change on alone, and the fields that rule it.
SINGLE: dict[str, dict[str, Any]] = {
    "gamma": {"gamma": (0.4, 0.6)},
    "saturation": {"saturation": (1.5, 1.9)},
    "brightness": {"brightness": (0.3, 0.4)},
    "colour": {"colour": (0.5, 0.6)},
    "flip": {"flip": 1.0},
    "zoom": {"zoom": (1.2, 1.4), "rotation": (5.0, 15.0)},
    "noise": {"noise": (8.0, 12.0)},
    "blur": {"blur": (1.0, 2.0)},
}


def only(**changes: Any) -> CopyParams:
    """Parameters with these changes on and the others off."""
    return CopyParams(**{"gamma": (1.0, 1.0), "saturation": (1.0, 1.0), **changes})


EVERYTHING = only(**{key: value for single in SINGLE.values() for key, value in single.items()})


def smooth(channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """An image of soft shapes over the whole range, (H, W, C)."""
    noise = np.random.default_rng(seed).random((H, W, channels))
    soft = scipy.ndimage.gaussian_filter(noise, (3, 3, 0))
    low, high = soft.min((0, 1)), soft.max((0, 1))
    return np.rint(255 * (soft - low) / (high - low)).astype(np.uint8)


def labels(seed: int = 0) -> NDArray[np.uint8]:
    """Blocks of 7, 23 and void, (H, W): ids between which interpolation would invent others."""
    blocks = np.random.default_rng(seed).choice([7, 23, VOID], (H // 5 + 1, W // 5 + 1))
    return np.kron(blocks, np.ones((5, 5)))[:H, :W].astype(np.uint8)


def bands(channels: int = 9) -> NDArray[np.float16]:
    return (smooth(channels) / 255).astype(np.float16)


# --- each change against a reference -------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5])
def test_gamma_is_torchvisions(gamma: float) -> None:
    image = smooth()
    expected = reference.adjust_gamma(torch.from_numpy(image).permute(2, 0, 1), gamma)
    found = apply_gamma(image, gamma).astype(int)
    assert np.abs(found - expected.permute(1, 2, 0).numpy()).max() <= 1  # it cuts, we round
    planes = torch.from_numpy(image / 255).permute(2, 0, 1)
    exact = reference.adjust_gamma(planes, gamma).permute(1, 2, 0).numpy()
    assert np.abs(found - 255 * exact).max() <= 0.5 + 1e-9
    floats = apply_gamma((image / 255).astype(np.float32), gamma)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, exact, atol=1e-6)


@pytest.mark.parametrize("factor", [0.0, 0.8, 1.0, 1.2, 2.0])
def test_brightness_and_saturation_are_pillows_and_torchvisions(factor: float) -> None:
    image = smooth()
    floats = (image / 255).astype(np.float32)
    tensor = torch.from_numpy(floats).permute(2, 0, 1)
    enhanced = ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor)
    assert np.abs(brighten(image, factor).astype(int) - np.asarray(enhanced)).max() <= 1
    expected = reference.adjust_brightness(tensor, factor).permute(1, 2, 0)
    np.testing.assert_allclose(brighten(floats, factor), expected, atol=1e-6)
    enhanced = ImageEnhance.Color(Image.fromarray(image)).enhance(factor)
    np.testing.assert_array_equal(saturate(image, factor), np.asarray(enhanced))
    expected = reference.adjust_saturation(tensor, factor).permute(1, 2, 0)
    np.testing.assert_allclose(saturate(floats, factor), expected, atol=5e-4)  # luma of 4 digits


@pytest.mark.parametrize("radius", [0.4, 1.0, 3.3])
def test_blur_is_pillows_for_bytes_and_scipys_for_floats(radius: float) -> None:
    image = smooth()
    expected = Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius))
    np.testing.assert_array_equal(blur(image, radius), np.asarray(expected))
    many = np.concatenate([image, image[..., :2]], axis=2)
    np.testing.assert_array_equal(blur(many, radius), blur(image, radius)[..., [0, 1, 2, 0, 1]])
    floats = np.random.default_rng(1).random((H, W, 5), np.float32)
    exact = scipy.ndimage.gaussian_filter(floats, (radius, radius, 0), mode="nearest", truncate=4)
    found = blur(floats, radius)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=2e-6)


@pytest.mark.parametrize("radius", [1.0, 3.3, 8.0])
def test_the_radius_means_the_same_for_bytes_and_floats(radius: float) -> None:
    spot = np.zeros((121, 121, 1), np.uint8)
    spot[40:81, 40:81] = 255  # a large spot, for Pillow rounds to whole steps
    profile = (255 * blur((spot / 255).astype(np.float32), radius))[60, :, 0]
    assert np.abs(blur(spot, radius)[60, :, 0] - profile).max() < 4  # boxes are no perfect bell
    # The edge of a spot becomes the integral of the bell: its slope tells the radius.
    steps = np.diff(blur(spot, radius)[60, :60, 0].astype(float))
    places = np.arange(len(steps))
    mean = (places * steps).sum() / steps.sum()
    assert math.sqrt(((places - mean) ** 2 * steps).sum() / steps.sum()) == pytest.approx(
        radius, rel=0.05
    )


def test_a_wide_kernel_still_sums_to_one() -> None:
    for sigma in (0.05, 1.0, 255.0):
        assert gaussian_kernel(sigma).sum() == pytest.approx(1, abs=1e-5)
    flat = np.full((9, 11, 2), 0.25, np.float32)
    np.testing.assert_allclose(blur(flat, 60.0), flat, rtol=1e-5)


@pytest.mark.parametrize("std", [1.0, 10.0])
def test_noise_has_its_standard_deviation_and_no_pattern(std: float) -> None:
    grey = np.full((2, 200, 200, 3), 128, np.uint8)
    found = add_noise(grey, std, np.random.default_rng(0)).astype(float) - 128
    # 120,000 values: the standard error of the mean is std / 346, rounding adds a variance of 1/12.
    assert abs(found[0].mean()) < 4 * std / 346
    assert found[0].std() == pytest.approx(math.hypot(std, math.sqrt(1 / 12)), rel=0.01)
    np.testing.assert_array_equal(found[0], found[1])
    flat = found[0] - found[0].mean()
    for other in (np.roll(flat, 1, 0), np.roll(flat, 1, 1), np.roll(flat, 1, 2)):
        assert abs((flat * other).mean()) < 0.03 * flat.var()
    floats = add_noise(np.full((1, 200, 200, 3), 0.5, np.float32), std, np.random.default_rng(0))
    assert (255 * floats).std() == pytest.approx(std, rel=0.01)


def test_noise_and_brightness_are_clipped() -> None:
    for white, top in ((np.uint8(255), 255), (np.float32(1), 1)):
        frames = np.full((1, 20, 20, 1), white)
        noisy = add_noise(frames, 30, np.random.default_rng(0))
        assert noisy.max() == top
        assert noisy.min() > 0.4 * top  # no value wrapped around
        assert (brighten(frames, 1.5) == top).all()


# --- geometry ------------------------------------------------------------------------------


def brute_force(
    mask: NDArray[np.uint8], image: NDArray[Any], zoom: float, degrees: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]:
    """The same pixel by pixel; `sure` is False where rounding may choose another pixel."""
    height, width = mask.shape
    turned, found = np.full_like(mask, VOID), np.zeros(image.shape)
    sure = np.ones(mask.shape, bool)
    angle = math.radians(degrees)
    for row in range(height):
        for column in range(width):
            # From the centre, up and to the right; turned back clockwise.
            right, up = column + 0.5 - width / 2, height / 2 - row - 0.5
            right, up = (
                (math.cos(angle) * right + math.sin(angle) * up) / zoom,
                (-math.sin(angle) * right + math.cos(angle) * up) / zoom,
            )
            x, y = width / 2 + right, height / 2 - up
            sure[row, column] = min(abs(x - round(x)), abs(y - round(y))) > 1e-9
            if not (0 <= x < width and 0 <= y < height):
                continue
            turned[row, column] = mask[int(y), int(x)]
            for step_y in (0, 1):
                for step_x in (0, 1):
                    j, i = math.floor(y - 0.5) + step_y, math.floor(x - 0.5) + step_x
                    weight = max(0, 1 - abs(y - 0.5 - j)) * max(0, 1 - abs(x - 0.5 - i))
                    pixel = image[min(max(j, 0), height - 1), min(max(i, 0), width - 1)]
                    found[row, column] += weight * pixel
    return turned, found, sure


@pytest.mark.parametrize(("zoom", "degrees"), [(1.25, 10), (0.7, -33), (1.0, 180), (2.0, 0)])
def test_geometry_is_that_of_a_loop(zoom: float, degrees: float) -> None:
    image, mask = smooth(), labels()
    frames, turned, inside = zoom_and_rotate(image[None], mask, zoom, degrees)
    expected_mask, expected, sure = brute_force(mask, image, zoom, degrees)
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(turned[sure], expected_mask[sure])
    assert np.abs(frames[0] - expected)[sure].max() <= 0.5 + 1e-3
    assert (frames[0][~inside] == 0).all()
    assert (turned[~inside] == VOID).all()
    assert inside.all() == (zoom >= 1)  # with 1.25 and 10 degrees the corners stay within
    floats, *_ = zoom_and_rotate((image[None] / 255).astype(np.float32), mask, zoom, degrees)
    np.testing.assert_allclose(floats[0][sure], expected[sure] / 255, atol=1e-5)


@pytest.mark.parametrize(("zoom", "degrees"), [(1.25, 10.0), (0.8, -25.0), (1.6, 170.0)])
def test_geometry_is_pillows_and_torchvisions(zoom: float, degrees: float) -> None:
    image, mask = smooth(), labels()
    frames, turned, inside = zoom_and_rotate(image[None], mask, zoom, degrees)
    cosine, sine = (f(math.radians(degrees)) / zoom for f in (math.cos, math.sin))
    data = (
        *(cosine, -sine, W / 2 - cosine * W / 2 + sine * H / 2),
        *(sine, cosine, H / 2 - sine * W / 2 - cosine * H / 2),
    )
    transform = Image.Transform.AFFINE
    pillow = Image.fromarray(image).transform((W, H), transform, data, Image.Resampling.BILINEAR)
    assert np.abs(frames[0].astype(int) - np.asarray(pillow)).max() <= 1  # Pillow cuts, we round
    nearest = Image.fromarray(mask).transform((W, H), transform, data, fillcolor=VOID)
    assert (turned == np.asarray(nearest)).mean() > 0.999
    tensor = torch.from_numpy(image).permute(2, 0, 1).float()
    turned_tensor = reference.affine(
        tensor, -degrees, [0, 0], zoom, [0.0], reference.InterpolationMode.BILINEAR
    )
    deep = scipy.ndimage.binary_erosion(inside, iterations=3)  # it blends its edge with black
    difference = np.abs(turned_tensor.permute(1, 2, 0).numpy() - frames[0])[deep]
    assert difference.max() < 1


def test_quarter_turns_are_exact() -> None:
    side = min(H, W)
    image, mask = smooth()[:side, :side], labels()[:side, :side]
    for turns in (1, 2, 3):
        frames, turned, inside = zoom_and_rotate(image[None], mask, 1.0, 90.0 * turns)
        np.testing.assert_array_equal(frames[0], np.rot90(image, turns))
        np.testing.assert_array_equal(turned, np.rot90(mask, turns))
        assert inside.all()


def test_no_label_is_invented_and_void_stays_out_of_the_image() -> None:
    zoomed = only(zoom=(0.6, 1.4), rotation=(0.0, 180.0), noise=(20.0, 20.0), blur=(3.0, 3.0))
    image = np.full((2, H, W, 3), 200, np.uint8)
    mask = np.where(labels() == VOID, 7, labels()).astype(np.uint8)
    void = 0
    for copy in range(1, 9):
        frames, turned = changed_copy(image, mask, "a", copy, zoomed)
        assert set(np.unique(turned)) <= {7, 23, VOID}
        assert (frames[:, turned == VOID] == 0).all()
        assert (frames[:, turned != VOID] > 0).all()
        void += int((turned == VOID).sum())
    assert void > 1000


# --- the copies ----------------------------------------------------------------------------


def test_copy_zero_and_neutral_ranges_give_the_very_input() -> None:
    for image in (smooth()[None], bands()[None]):
        mask = labels()
        for parameters, copy in ((EVERYTHING, 0), (only(), 3), (only(apply="one"), 3)):
            frames, same = changed_copy(image, mask, "a", copy, parameters)
            assert frames is image
            assert same is mask


@pytest.mark.parametrize("change", SINGLE)
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_each_change_alone_keeps_type_shape_and_what_it_must_not_touch(
    change: str, kind: str
) -> None:
    image = smooth()[None] if kind == "bytes" else bands(3)[None]
    mask, before = labels(), image.copy()
    frames, changed = changed_copy(image, mask, "a", 1, only(**SINGLE[change]))
    np.testing.assert_array_equal(image, before)
    assert frames.dtype == image.dtype
    assert frames.shape == image.shape
    assert (frames != image).any()
    assert frames.min() >= 0
    assert frames.max() <= (255 if kind == "bytes" else 1)
    assert (changed == mask).all() == (change not in ("flip", "zoom"))


def test_bytes_and_floats_are_changed_alike() -> None:
    image = smooth()[None]
    floats = (image / 255).astype(np.float16)
    for change, parameters in SINGLE.items():
        of_bytes, mask = changed_copy(image, labels(), "a", 1, only(**parameters))
        of_floats, same = changed_copy(floats, labels(), "a", 1, only(**parameters))
        np.testing.assert_array_equal(mask, same)
        limit = 4 if change == "blur" else 1.5  # Pillow's blur is made of boxes
        assert np.abs(of_bytes - 255 * of_floats.astype(float)).max() < limit, change


def test_the_flip_is_exact_on_image_and_mask() -> None:
    frames, mask = changed_copy(smooth()[None], labels(), "a", 1, only(flip=1.0))
    np.testing.assert_array_equal(frames[0], smooth()[:, ::-1])
    np.testing.assert_array_equal(mask, labels()[:, ::-1])
    assert frames.flags["C_CONTIGUOUS"]
    assert mask.flags["C_CONTIGUOUS"]


def test_all_frames_of_a_clip_are_changed_alike() -> None:
    clip = np.stack([smooth()] * 3)
    clip[1] = smooth(seed=1)
    frames, mask = changed_copy(clip, labels(), "a", 2, EVERYTHING)
    np.testing.assert_array_equal(frames[0], frames[2])
    for place in (0, 1):
        alone, same = changed_copy(clip[place : place + 1], labels(), "a", 2, EVERYTHING)
        np.testing.assert_array_equal(alone[0], frames[place])
        np.testing.assert_array_equal(same, mask)


def test_a_copy_depends_on_seed_name_and_number_alone() -> None:
    def made(name: str, copy: int, seed: int) -> bytes:
        parameters = EVERYTHING.model_copy(update={"seed": seed})
        frames, mask = changed_copy(smooth()[None], labels(), name, copy, parameters)
        return frames.tobytes() + mask.tobytes()

    first = made("a", 1, 0)
    others = {made("b", 1, 0), made("a", 2, 0), made("a", 1, 1)}
    assert made("a", 1, 0) == first
    assert len(others | {first}) == 4


def test_one_change_more_moves_no_draw_of_the_others() -> None:
    flips = only(flip=0.5)
    more = only(flip=0.5, gamma=(0.5, 1.5), brightness=(0.1, 0.2), noise=(1.0, 2.0))
    flipped = []
    for copy in range(1, 30):
        _, alone = changed_copy(smooth()[None], labels(), "a", copy, flips)
        _, beside = changed_copy(smooth()[None], labels(), "a", copy, more)
        np.testing.assert_array_equal(alone, beside)
        flipped.append(bool((alone != labels()).any()))
    assert 5 < sum(flipped) < 25  # 29 draws at 0.5


def test_draws_are_within_their_ranges_and_go_both_ways() -> None:
    grey = np.full((1, 4, 4, 3), 100, np.uint8)
    spread = only(brightness=(0.15, 0.2))
    values = [
        changed_copy(grey, labels()[:4, :4], "a", copy, spread)[0].max() for copy in range(1, 60)
    ]
    darker = [value for value in values if value < 100]
    brighter = [value for value in values if value > 100]
    assert len(darker) > 15
    assert len(brighter) > 15
    assert min(darker) >= 80
    assert max(darker) <= 85
    assert min(brighter) >= 115
    assert max(brighter) <= 120


def test_saturation_and_colour_multiply() -> None:
    both = only(saturation=(1.5, 1.5), colour=(0.2, 0.2))
    found, _ = changed_copy(smooth()[None], labels(), "a", 1, both)
    expected = [saturate(smooth(), 1.5 * factor) for factor in (0.8, 1.2)]
    assert any((found[0] == one).all() for one in expected)


def test_one_change_a_copy_in_turn() -> None:
    """System D's set: flip, brightness, colour, zoom with rotation, noise and blur, each once."""
    names = ["brightness", "colour", "flip", "zoom", "noise", "blur"]
    parameters = {key: value for name in names for key, value in SINGLE[name].items()}
    turns = only(count=6, apply="one", **parameters)
    assert [fields[0] for fields in changes_on(turns)] == names
    for copy in range(1, 13):
        alone = only(**SINGLE[names[(copy - 1) % 6]])
        expected = changed_copy(smooth()[None], labels(), "a", copy, alone)
        found = changed_copy(smooth()[None], labels(), "a", copy, turns)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        assert (found[0] != smooth()[None]).any()


def test_the_usual_ranges_have_gamma_and_saturation_on() -> None:
    assert changes_on(CopyParams()) == [("gamma",), ("saturation",)]
    assert changes_on(only(rotation=(0.0, 5.0))) == [("zoom", "rotation")]
    assert changes_on(only()) == []


# --- coarser masks and many channels ---------------------------------------------------------


def test_a_coarser_mask_is_flipped_with_its_image() -> None:
    image = np.random.default_rng(0).random((1, 20, 30, 99), np.float32).astype(np.float16)
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    parameters = only(flip=1.0, noise=(1.0, 1.0), blur=(0.5, 0.5), gamma=(0.9, 1.1))
    frames, flipped = changed_copy(image, mask, "a", 1, parameters)
    assert flipped.tolist() == [[2, 1, 0], [5, 4, 3]]
    assert frames.shape == image.shape
    plain, _ = changed_copy(image, mask, "a", 1, only(flip=1.0))
    np.testing.assert_array_equal(plain, image[:, :, ::-1])


@pytest.mark.parametrize("change", [{"zoom": (1.0, 1.2)}, {"rotation": (0.0, 5.0)}])
def test_a_coarser_mask_is_not_turned(change: dict[str, Any]) -> None:
    image, mask = np.zeros((1, 20, 30, 3), np.uint8), np.zeros((2, 3), np.uint8)
    with pytest.raises(ParameterError) as caught:
        changed_copy(image, mask, "a", 1, only(**change))
    for part in ("prepare.copies.zoom", "prepare.copies.rotation", "coarser", "[1.0, 1.0]"):
        assert part in str(caught.value)


def test_other_channels_than_three_have_no_saturation() -> None:
    four = np.zeros((1, H, W, 4), np.uint8)
    with pytest.raises(ParameterError) as caught:
        changed_copy(four, labels(), "a", 1, only(saturation=(0.5, 1.5), colour=(0.1, 0.2)))
    for part in (
        "prepare.copies.saturation is [0.5, 1.5]",
        "prepare.copies.colour is [0.1, 0.2]",
        "these have 4",
        "prepare.copies.saturation: [1.0, 1.0]",
        "prepare.copies.colour: [0.0, 0.0]",
    ):
        assert part in str(caught.value)
    rest = {key: value for key, value in SINGLE.items() if key not in ("saturation", "colour")}
    for single in rest.values():
        changed_copy(four, labels(), "a", 1, only(**single))


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(ParameterError) as caught:
        refuse_impossible(EVERYTHING, 99, True)
    assert str(caught.value).count("\n  ") == 3
    refuse_impossible(EVERYTHING, 3, False)
    refuse_impossible(only(flip=1.0), 99, True)


def test_what_is_no_clip_with_its_mask_is_refused() -> None:
    with pytest.raises(ValueError, match=r"drive: frames of shape \(37, 50, 3\)"):
        changed_copy(smooth(), labels(), "drive", 1, EVERYTHING)
    with pytest.raises(ValueError, match="float64"):
        changed_copy(smooth()[None] / 255, labels(), "drive", 1, EVERYTHING)
    with pytest.raises(ValueError, match="whole ratio"):
        changed_copy(smooth()[None], labels()[:20, :20], "drive", 1, EVERYTHING)
