"""What `segpipe plan` gives beside the recipe that was made for the data by hand, at equal time.

Each data set is planned as an unknown one: the plan sees its files alone. The recipe is given as many steps
as fit the same minutes on this machine (a trial of a few steps measures its speed). Both are trained
with the same seeds and scored by the evaluate stage; the mIoU of each and the difference of the means
are printed. Nothing else should run meanwhile.

Examples:
  python -m bench.plan --minutes 10 --seeds 0,1,2 --data camvid=data/camvid
  python -m bench.plan --minutes 3 --seeds 0 --data scenes --data tiles
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from bench.gpu import ROOT, make_project, run_stage
from segpipe.cli.plan import material_of
from segpipe.params.load import load_overlay, validate
from segpipe.params.overlay import overlaid, with_data_of
from segpipe.params.schema import Params
from segpipe.params.settings import set_in
from segpipe.planning.plan import RESERVE, START_SECONDS, make_plan
from segpipe.planning.trial import measure
from segpipe.preparation.sample_job import PrepareContext
from segpipe.results.evaluation import Evaluation
from segpipe.results.records import read_record

_RECIPES = {"camvid": "camvid", "scenes": "demo", "tiles": "esd"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        help=f"one of {', '.join(_RECIPES)}, with =PATH where its files are not those of the recipe",
    )
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    for each in options.data:
        name, _, path = each.partition("=")
        compare(name, path, options.minutes, seeds)


def compare(name: str, path: str, minutes: float, seeds: list[int]) -> None:
    """Train plan and recipe of one data set over the seeds, and print their scores."""
    recipe = load_overlay(ROOT / f"recipes/{_RECIPES[name]}.yaml")
    source = recipe.source.model_copy(
        update={"path": str(Path(path or ROOT / recipe.source.path).resolve())}
    )
    recipe = recipe.model_copy(update={"source": source})
    with tempfile.TemporaryDirectory() as folder:
        first = _project(Path(folder) / "first", recipe)
        run_stage("fetch", first)
        raw = first / "data/raw"
        # What the plan is given: where the data is, its labels and its splits.
        present = validate(overlaid(with_data_of({}, recipe)), "the data")
        plan = make_plan(material_of(present, raw), minutes, {}).params
        lasting = for_as_long(recipe, raw, minutes)
        scores = {
            "plan": [_score(Path(folder), "plan", plan, seed) for seed in seeds],
            "recipe": [_score(Path(folder), "recipe", lasting, seed) for seed in seeds],
        }
    for kind, found in scores.items():
        print(f"{name:<8}{kind:<8}{'  '.join(f'{100 * score:5.1f}' for score in found)}")
    gap = statistics.mean(scores["plan"]) - statistics.mean(scores["recipe"])
    print(f"{name:<8}plan - recipe: {100 * gap:+.1f} points of mIoU, means of {len(seeds)} seeds")


def for_as_long(recipe: Params, raw: Path, minutes: float) -> Params:
    """Return the recipe with as many steps as a plan for these minutes would count for its speed."""
    material = material_of(recipe, raw)
    listing = material.list_samples(recipe.prepare)
    context = material.context(listing, recipe.prepare)
    assert isinstance(context, PrepareContext)
    costs = measure(recipe, listing.samples, context)
    validation = len(listing.samples["val"]) * costs.validation
    budget = minutes * 60 * RESERVE - START_SECONDS
    steps = int((budget - 2 * validation) / costs.step)
    content = recipe.model_dump(mode="json")
    for key in ("train.length", "train.validate_every"):
        set_in(content, key, f"{steps} steps")
    return validate(content, "the recipe")


def _score(folder: Path, kind: str, params: Params, seed: int) -> float:
    train = params.train.model_copy(update={"seed": seed})
    project = _project(folder / f"{kind}-{seed}", params.model_copy(update={"train": train}))
    for stage in ("fetch", "prepare", "train", "evaluate"):
        run_stage(stage, project)
    found = read_record(Evaluation, project / "metrics/evaluation.json")
    return found.miou or 0.0


def _project(folder: Path, params: Params) -> Path:
    folder.mkdir()
    return make_project(folder, params.model_dump(mode="json"))


if __name__ == "__main__":
    main()
