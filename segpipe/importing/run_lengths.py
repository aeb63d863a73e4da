"""Run-length masks of COCO, CVAT and Label Studio; each must have the length of what it covers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.errors import DataError

Mask = NDArray[np.bool_]
_MOST_RUNS = 50_000_000
_COUNT_BITS = (4, 8, 12, 16)  # of the counts that are written for Label Studio


def coco_mask(runs: Any, height: int, width: int) -> Mask:
    """Return the mask, (H, W), of COCO's run lengths: {"size": [H, W], "counts": [...] or "..."}.

    Runs of 0 and of 1 alternate down the columns (pycocotools/mask.py). They are decoded here, since
    `pycocotools.mask.decode` returns uninitialised memory where they are too short, and warns of NumPy 2.
    """
    if [int(side) for side in runs["size"]] != [height, width]:
        found = " x ".join(str(side) for side in runs["size"])
        raise DataError(f"a run-length mask is of {found}, but the image is {height} x {width}")
    counts = runs["counts"]
    if isinstance(counts, str | bytes):
        counts = _uncompressed(counts if isinstance(counts, bytes) else counts.encode())
    return _alternating(counts, height * width).reshape(width, height).T


def cvat_mask(lengths: Sequence[int], height: int, width: int) -> Mask:
    """Return the mask of CVAT's run lengths: runs of 0 and of 1 alternate along the rows."""
    return _alternating(lengths, height * width).reshape(height, width)


def _alternating(lengths: Sequence[int], pixels: int) -> NDArray[np.bool_]:
    if len(lengths) > _MOST_RUNS:
        raise DataError(f"a run-length mask has {len(lengths):,} runs; at most {_MOST_RUNS:,}")
    runs = np.array(lengths, np.int64)
    if ((runs < 0) | (runs > pixels)).any() or int(runs.sum()) != pixels:
        raise DataError(
            f"a run-length mask covers {int(runs.sum()):,} pixels, but its area has {pixels:,}"
        )
    return np.repeat(np.arange(runs.size) % 2 == 1, runs)


def _uncompressed(text: bytes) -> list[int]:
    """Return the runs of COCO's text form (rleFrString in pycocotools' maskApi.c).

    Each number has groups of five bits, the lowest first, in characters from 48 on; bit 6 says that
    another group follows, bit 5 of the last is the sign. From the fourth on it is the difference
    from the run before the last.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        group = character - 48
        if not 0 <= group < 64 or shift > 60:
            raise DataError("a run-length mask holds a character that belongs to none")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise DataError("a run-length mask is cut off")
    return lengths


def label_studio_mask(content: Sequence[int], height: int, width: int) -> Mask:
    """Return the mask, (H, W), of Label Studio's brush: what its alpha channel does not hold at 0.

    The bytes are a stream of bits (label_studio_sdk/converter/brush.py, decode_rle): 32 bits count
    the values, of which there are four a pixel; 5 bits are the length of a value less 1; four times
    4 bits are lengths of a count less 1. Then follow blocks: a bit that says whether one value is
    repeated, 2 bits that choose the length of the count, the count less 1, and one value or as many
    values as that.
    """
    bits = np.unpackbits(np.array(content, np.uint8))
    place = 0

    def number(length: int) -> int:
        nonlocal place
        if place + length > bits.size:
            raise DataError("a run-length mask is cut off")
        place += length
        return int("".join(map(str, bits[place - length : place].tolist())), 2)

    total = number(32)
    if total != 4 * height * width:
        raise DataError(
            f"a run-length mask has {total:,} values, but four for each of {height} x {width} pixels "
            "are needed"
        )
    word = number(5) + 1
    count_lengths = [number(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint32)
    done = 0
    while done < total:
        repeated = number(1)
        count = number(count_lengths[number(2)]) + 1
        if done + count > total:
            raise DataError("a run-length mask is longer than its image")
        if repeated:
            values[done : done + count] = number(word)
        else:
            end = place + count * word
            if end > bits.size:
                raise DataError("a run-length mask is cut off")
            words = bits[place:end].reshape(count, word).astype(np.uint32)
            values[done : done + count] = words @ (1 << np.arange(word)[::-1]).astype(np.uint32)
            place = end
        done += count
    return values.reshape(height, width, 4)[:, :, 3] > 0


def label_studio_runs(mask_HW: Mask) -> list[int]:
    """Return the bytes that `label_studio_mask` reads, of a mask whose four channels are 0 or 255.

    Values have 8 bits, and counts 4, 8, 12 or 16, whichever is the shortest; each run is a block, or
    several of up to 65,536 values.
    """
    changes_N = np.flatnonzero(np.diff(mask_HW.ravel())) + 1
    edges_M = np.concatenate([[0], changes_N, [mask_HW.size]]) * 4
    lengths_N = np.diff(edges_M)
    value = bool(mask_HW.flat[0])
    parts = [f"{4 * mask_HW.size:032b}", f"{8 - 1:05b}"]
    parts += [f"{length - 1:04b}" for length in _COUNT_BITS]
    for left in lengths_N.tolist():
        while left:
            count = min(left, 1 << _COUNT_BITS[-1])
            choice = next(k for k, bits in enumerate(_COUNT_BITS) if count <= 1 << bits)
            parts.append(f"1{choice:02b}{count - 1:0{_COUNT_BITS[choice]}b}{255 * value:08b}")
            left -= count
        value = not value
    bits = np.frombuffer("".join(parts).encode(), np.uint8) - ord("0")
    whole: list[int] = np.packbits(bits).tolist()
    return whole
