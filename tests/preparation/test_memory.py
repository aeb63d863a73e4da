"""Memory of prepare does not grow with the number of images."""

from pathlib import Path

import pytest

from tests.forge import CLASSES_CSV, ROOT, run_python, save, scene

MEASURE = """
import resource, sys
from pathlib import Path
from segpipe.labels.load import load_scheme
from segpipe.params.prepare import PrepareParams
from segpipe.raw.sample import Sample
from segpipe.preparation.prepare import prepare_data
from segpipe.raw.input_spec import PICTURES
from segpipe.preparation.sample_job import PrepareContext

if __name__ == "__main__":
    raw, count = Path(sys.argv[1]), int(sys.argv[2])
    target = raw / f"prepared{count}"
    target.mkdir()
    # As many names as samples: windows of one image would be read together.
    samples = [
        Sample(str(number), "g", f"{number % 2}.png", "mask.png") for number in range(count)
    ]
    splits = {"train": samples[:-1], "val": samples[-1:], "test": []}
    prepare = PrepareParams(height=48, width=64)
    context = PrepareContext(raw, load_scheme("classes.csv", {}, raw), PICTURES, prepare)
    prepare_data(splits, context, target)
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(max(resource.getrusage(one).ru_maxrss for one in who) // 1024)
"""


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    image, mask = scene(0)
    save(tmp_path / "0.png", image)
    save(tmp_path / "1.png", image)
    save(tmp_path / "mask.png", mask)
    (tmp_path / "classes.csv").write_text(CLASSES_CSV)
    script = tmp_path / "measure.py"
    script.write_text(MEASURE)
    used = {}
    for count in (100, 10000):
        arguments = [str(script), str(tmp_path), str(count)]
        done = run_python(arguments, ROOT, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr
        used[count] = int(done.stdout)
    assert used[10000] < used[100] + 10, used
