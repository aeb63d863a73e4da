"""Side lengths of a U-Net without padding (valid convolutions), all in pixels.

Down: two 3x3 convolutions take 4 pixels, a pool halves (an odd side loses its last row). Up: the
side doubles, two convolutions take 4. With b pixels before the first convolution of the way up,
that is, after the two of the lowest level, the output has 2^depth (b - 4) + 4.
"""


def valid_output(length: int, depth: int) -> int:
    """Return the output side of an input side of `length`; 572 gives 388 at depth 4.

    Raises ValueError, with the smallest side that works, when nothing would be left.
    """
    lowest = length - 4
    for _ in range(depth):
        lowest = lowest // 2 - 4
    output = (lowest - 4 << depth) + 4
    if output < 1:
        raise ValueError(
            f"an image side of {length} pixels is too small for a U-Net of depth {depth} with "
            f"valid padding: it needs at least {valid_input(1, depth)}; use larger images, a "
            "smaller model.unet.depth, or set model.unet.padding to same"
        )
    return output


def valid_input(length: int, depth: int) -> int:
    """Return the smallest input side whose output has at least `length` pixels (`length` >= 1).

    It is one of the sides from which no pool drops a row, so that the output lies exactly in the
    centre, `margin(depth)` from each edge.
    """
    lowest_less_4 = -((4 - length) >> depth)  # (length - 4) / 2^depth, rounded up
    return (lowest_less_4 << depth) + 4 + 2 * margin(depth)


def margin(depth: int) -> int:
    """Return the pixels that the output lacks at each edge; 92 at depth 4."""
    return (6 << depth) - 4
