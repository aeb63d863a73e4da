"""The frames before an annotated one.

leftImg8bit_sequence holds 30 frames a snippet, 17 a second, of which the 20th is annotated. Frames
are numbered within a drive, so the annotated one is 000019 only where each snippet is a drive.
"""

import re

from segpipe.params.source import ClipParams

_STEM = re.compile(r"(?P<drive>.+_\d{6})_(?P<frame>\d{6})")


def earlier_stems(stem: str, clip: ClipParams) -> list[str] | None:
    """Return <city>_<seq6>_<frame6> of the clip's frames before the annotated `stem`, earliest first.

    None when `stem` has no frame number or the drive begins too late for the clip.
    """
    if clip.frames == 1:
        return []
    found = _STEM.fullmatch(stem)
    if found is None:
        return None
    frame = int(found["frame"])
    back = [step * clip.stride for step in reversed(range(1, clip.frames))]
    if back[0] > frame:
        return None
    return [f"{found['drive']}_{frame - frames:06d}" for frames in back]
