"""Draw docs/images/demo.jpg, the picture of the README, from the run of `make demo`.

`python -m bench.demo_picture` shows the validation images with the fewest wrong pixels, from both towns, as
the render stage does.
"""

from pathlib import Path

from PIL import Image

from segpipe.dataset.layout import INDEX, read_samples
from segpipe.inference.pictures import Drawing, predicted_and_compared
from segpipe.inference.predictor import Predictor
from segpipe.rendering.choice import spread_choice
from segpipe.rendering.comparison import comparison_sheet
from segpipe.results.evaluation_tables import ImageRow
from segpipe.results.records import METRICS, read_table
from segpipe.runtime.console import say

PICTURE = Path("docs/images/demo.jpg")
IMAGES, WIDTH, QUALITY = 3, 1600, 86


def main() -> None:
    """Draw the picture from the results that lie in this repository."""
    rows = read_table(ImageRow, METRICS / ImageRow.file)
    samples = {one.name: one for one in read_samples(Path("data/prepared/val") / INDEX)}
    right = {row.name: row.pixel_accuracy or 0.0 for row in rows}
    ranked = sorted(right, key=lambda name: -right[name])
    chosen = spread_choice([samples[name] for name in ranked], IMAGES)
    scores = {row.name: row.miou for row in rows}
    drawing = Drawing(Predictor.load(Path("models")), Path("data/raw"), Path(), 0.55, scores)
    shown = [predicted_and_compared(sample, drawing).comparison for sample in chosen]
    title = (
        f"Generated streets after three minutes of training: {len(chosen)} of {len(rows)} validation "
        "images, those with the fewest wrong pixels"
    )
    sheet = Image.fromarray(comparison_sheet(shown, drawing.predictor.scheme, title))
    sheet.thumbnail((WIDTH, sheet.height), Image.Resampling.LANCZOS)
    sheet.save(PICTURE, quality=QUALITY, optimize=True)
    say(f"{PICTURE}: {sheet.width} x {sheet.height} pixels, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
