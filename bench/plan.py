"""What `segpipe plan` gives beside the recipe that was made for the data by hand, at equal time.

Each data set is planned as an unknown one: the plan sees its files alone. The recipe is given as many steps
as fit the same minutes on this machine (a trial of a few steps measures its speed). Both are trained
with the same seeds and scored by the evaluate stage; the mIoU of each is printed as it is known, at the
end the difference of the means. Nothing else should run meanwhile.

Parameters and scores are kept in --results after each training: what was interrupted goes on there when it
is called again. Remove that file for new plans.

Examples:
  python -m bench.plan --minutes 10 --seeds 0,1,2 --data camvid=data/camvid
  python -m bench.plan --minutes 10 --seeds 0 --data scenes --data tiles --only plan
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.project import ROOT, make_project, run_stage
from segpipe.cli.plan import material_of
from segpipe.params.load import load_overlay, validate
from segpipe.params.overlay import overlaid, with_data_of
from segpipe.params.schema import Params
from segpipe.params.settings import set_in
from segpipe.planning.plan import make_plan
from segpipe.planning.trial import measure
from segpipe.preparation.sample_job import PrepareContext
from segpipe.results.evaluation import Evaluation
from segpipe.results.records import read_record
from segpipe.runtime.atomic import write_json

_RECIPES = {"camvid": "camvid", "scenes": "demo", "tiles": "esd"}
_SIDES = ("plan", "recipe")


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
    parser.add_argument("--only", choices=_SIDES, help="train one side alone")
    parser.add_argument("--results", type=Path, default=ROOT / ".segpipe/bench-plan.json")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    kept = json.loads(options.results.read_text()) if options.results.exists() else {}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    for each in options.data:
        name, _, path = each.partition("=")
        title = f"{name}, {options.minutes:g} minutes"
        if title not in kept:
            kept[title] = _parameters(name, path, options.minutes)
            write_json(options.results, kept)
        found = kept[title]
        for side in [options.only] if options.only else _SIDES:
            params = validate(found[side], f"the {side}")
            for seed in (seed for seed in seeds if str(seed) not in found["scores"][side]):
                found["scores"][side][str(seed)] = _score(params, seed)
                write_json(options.results, kept)
                _say(title, side, str(seed), found)
        _say_means(title, found)


def _parameters(name: str, path: str, minutes: float) -> dict[str, Any]:
    """Return the parameters of plan and recipe of a data set, as they are kept."""
    recipe = load_overlay(ROOT / f"recipes/{_RECIPES[name]}.yaml")
    source = recipe.source.model_copy(
        update={"path": str(Path(path or ROOT / recipe.source.path).resolve())}
    )
    recipe = recipe.model_copy(update={"source": source})
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), recipe.model_dump(mode="json"))
        run_stage("fetch", project)
        raw = project / "data/raw"
        # What the plan is given: where the data is, its labels and its splits.
        present = validate(overlaid(with_data_of({}, recipe)), "the data")
        planned = make_plan(material_of(present, raw), minutes, {})
        seconds = planned.seconds["train"] + planned.seconds["evaluate"]
        lasting = for_as_long(recipe, raw, seconds, scored=True)
    return {
        "plan": planned.params.model_dump(mode="json"),
        "recipe": lasting.model_dump(mode="json"),
        "scores": {side: {} for side in _SIDES},
    }


def for_as_long(recipe: Params, raw: Path, seconds: float, scored: bool) -> Params:
    """Return the recipe with as many steps, and one validation at the end, as fit the seconds here.

    scored: whether scores and pictures have to fit as well.
    """
    material = material_of(recipe, raw)
    listing = material.list_samples(recipe.prepare)
    context = material.context(listing, recipe.prepare)
    assert isinstance(context, PrepareContext)
    costs = measure(recipe, listing.samples, context)
    val = len(listing.samples["val"])
    others = val * costs.validation
    if scored:
        others += costs.after_training(val, val, min(recipe.render.images, val))
    steps = int((seconds - others) / costs.step)
    content = recipe.model_dump(mode="json")
    for key in ("train.length", "train.validate_every"):
        set_in(content, key, f"{steps} steps")
    return validate(content, "the recipe")


def _score(params: Params, seed: int) -> dict[str, float]:
    """Train with a seed; return the mIoU on the validation images and the seconds of the stages."""
    params = params.model_copy(update={"train": params.train.model_copy(update={"seed": seed})})
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), params.model_dump(mode="json"))
        began = perf_counter()
        for stage in ("fetch", "prepare", "train", "evaluate"):
            run_stage(stage, project)
        found = read_record(Evaluation, project / "metrics/evaluation.json")
        return {"miou": found.miou or 0.0, "seconds": round(perf_counter() - began, 1)}


def _say(title: str, side: str, seed: str, found: dict[str, Any]) -> None:
    score, params = found["scores"][side][seed], found[side]
    print(
        f"{title}: {side}, seed {seed}: mIoU {100 * score['miou']:.1f} % in {score['seconds']:.0f} s "
        f"({params['model']['name']}, {params['prepare']['height']}x{params['prepare']['width']}, "
        f"{params['train']['length']})",
        flush=True,
    )


def _say_means(title: str, found: dict[str, Any]) -> None:
    """Print the scores that are known, and the difference of the means over the seeds of both."""
    plan, recipe = (found["scores"][side] for side in _SIDES)
    for side in _SIDES:
        for seed in found["scores"][side]:
            _say(title, side, seed, found)
    if both := sorted(plan.keys() & recipe.keys()):
        gap = statistics.mean(plan[seed]["miou"] - recipe[seed]["miou"] for seed in both)
        print(
            f"{title}: plan - recipe: {100 * gap:+.1f} points of mIoU, means over seeds {', '.join(both)}"
        )


if __name__ == "__main__":
    main()
