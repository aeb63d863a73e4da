"""Label images of a folder from Python; `segpipe predict` is the same with more options."""

from pathlib import Path

from segpipe.inference.clips import clips_for
from segpipe.inference.files import predict_files
from segpipe.inference.find import find
from segpipe.inference.output import Output
from segpipe.inference.overwriting import refuse_output_folder, refuse_overwriting
from segpipe.inference.predictor import Predictor, load_model
from segpipe.inference.targets import OPACITY, output_names, target_files
from segpipe.runtime.errors import DataError, listing


def predict(
    images: str | Path,
    out: str | Path,
    model: Predictor | str | Path | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write the label image of a picture, raster or tile, or of each in a folder; return their paths.

    out: the folder of OUT/NAME.png (the data set's label ids, at the image's size; GeoTIFFs of
    rasters) and OUT/overlays/NAME.png. model: a loaded one, or the folder of its bundle; None for the
    one of street scenes that comes with segpipe. force: overwrite files of others in `out`; never
    those that are read.

    Raises DataError when there is nothing to predict, and, after the others are written, for files that
    cannot be read; ParameterError when `out` cannot be written to; BundleError.
    """
    images, out = Path(images), Path(out)
    predictor = model if isinstance(model, Predictor) else load_model(model)
    reader, earlier = predictor.reader, None
    refuse_output_folder(out)
    found = find(reader, images, out)
    places = {path: path.relative_to(found.root) for path in found.paths}
    names, read = output_names(places), {*found.paths}
    if predictor.frames > 1:
        clips = clips_for(predictor, found.paths)
        earlier = clips.earlier
        names = {path: names[path] for path in earlier}
        read |= clips.frames
    refuse_overwriting(read, names, out, reader, force)
    done = predict_files([predictor], names, out, Output(OPACITY), earlier=earlier)
    if faults := [*found.unreadable, *done.skipped]:
        raise DataError(f"{len(faults)} files or folders were skipped:\n{listing(faults)}")
    return [target_files(name, out, reader)[0] for name in names.values()]
