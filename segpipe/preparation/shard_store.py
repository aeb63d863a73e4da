"""Shards that were made ahead, here or on other machines, until the stage takes them (docs/distributed.md).

Each is a folder that appears whole or not at all: its files, and record.json with what came of each of
its samples. A shard of a split that is only checked is its record alone.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segpipe.dataset.digests import file_digest
from segpipe.dataset.shards import IMAGES, MASKS, shard_path
from segpipe.preparation.pool import sample_results
from segpipe.preparation.sample_job import PrepareContext, SampleJob, SampleResult
from segpipe.preparation.sample_stats import Pixels, SampleStats
from segpipe.preparation.shard_arrays import allocate, by_shard
from segpipe.preparation.statistics import Totals
from segpipe.runtime.atomic import sync, temporary_dir, write_json
from segpipe.runtime.console import progress, say
from segpipe.runtime.provenance import Snapshot
from segpipe.runtime.small_files import read_json
from segpipe.runtime.state import shards_folder
from segpipe.runtime.workers import ordered_map, usable_cores

_RECORD = "record.json"
# A worker process takes a second to start, and hashes a gigabyte in one.
_SHARDS_A_PROCESS = 16
_BAR_AFTER = 2.0  # seconds


class Part(NamedTuple):
    """The shards of one worker: every `total`-th, from number `number` (from 1) on."""

    number: int
    total: int


@dataclass(frozen=True)
class MadeShard:
    """What came of the samples of a shard: of each its result, and what is counted in whole numbers."""

    split: str
    totals: Totals
    results: list[SampleResult]


def shard_store(snapshot: Snapshot, context: PrepareContext) -> Path:
    """Return the folder of the shards that are made of these parameters, code and raw files."""
    return shards_folder([snapshot.parameters, snapshot.files, repr(context)])


def make_shards(
    jobs: Sequence[SampleJob], context: PrepareContext, store: Path, part: Part
) -> tuple[int, int]:
    """Make the shards of a part that the store lacks; return how many were made, and how many are its.

    The files that jobs name are read here, wherever here is. Faults of samples are not judged: they
    stand in the records, from which the stage reports on all of them.
    """
    mine = list(by_shard(jobs).items())[part.number - 1 :: part.total]
    lacking = {shard: members for shard, members in mine if not (store / shard).exists()}
    with temporary_dir(store) as folder:
        todo = {shard: _moved(members, folder / shard) for shard, members in lacking.items()}
        for shard, members in todo.items():
            (folder / shard).mkdir()
            allocate(members, context)
        everything = [job for members in todo.values() for job in members]
        results = iter(sample_results(everything, context, "prepare"))
        for shard, members in todo.items():
            _write_record(folder / shard, list(islice(results, len(members))))
            _publish(folder / shard, store / shard)
        assert next(results, None) is None  # which ends the progress bar
    return len(lacking), len(mine)


def take_shards(store: Path, jobs: Sequence[SampleJob]) -> dict[str, MadeShard]:
    """Link the files of whole shards to where the jobs would write them; return them by name.

    A shard that is damaged, or not of these samples, is named and left to be made anew.
    """
    there = {name: members for name, members in by_shard(jobs).items() if (store / name).is_dir()}
    folders = [store / name for name in there]
    processes = min(usable_cores(), len(there) // _SHARDS_A_PROCESS)
    taken: dict[str, MadeShard] = {}
    checked = ordered_map(_is_whole, folders, processes)
    shown = progress(checked, "verify", "shard", len(folders), _BAR_AFTER)
    for folder, sound in zip(folders, shown, strict=True):
        members = there[folder.name]
        made = _read_record(folder, members) if sound else None
        if made is None:
            say(f"{folder}: is damaged, and is made again")
            continue
        taken[folder.name] = made
        target, shard = members[0].folder, members[0].shard
        if target is not None:
            for kind in (IMAGES, MASKS):
                _link(shard_path(folder, kind, shard), shard_path(target, kind, shard))
    return taken


def _moved(jobs: Sequence[SampleJob], folder: Path) -> list[SampleJob]:
    """Return the jobs with another folder to write into."""
    return [job if job.folder is None else replace(job, folder=folder) for job in jobs]


def _publish(made: Path, shard: Path) -> None:
    for path in (*made.iterdir(), made):
        sync(path)
    try:
        made.rename(shard)
    except OSError:
        if not shard.exists():  # else another worker was faster, with the same bytes
            raise


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


# Records


def _write_record(folder: Path, results: Sequence[SampleResult]) -> None:
    totals = Totals()
    for result in results:
        if not result.stats.excluded:
            totals.add(result.rows)
    content = {"totals": totals.whole_numbers(), "samples": [_plain(each) for each in results]}
    files = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
    write_json(folder / _RECORD, {**content, "files": files, "digest": _text_digest(content)})


def _is_whole(folder: Path) -> bool:
    """Return whether the files of a shard are those of its record, and the record is as it was written."""
    try:
        content = read_json(folder / _RECORD)
        files, digest = content.pop("files"), content.pop("digest")
        found = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError, KeyError):
        return False
    return bool(digest == _text_digest(content) and files == found)


def _read_record(folder: Path, jobs: Sequence[SampleJob]) -> MadeShard | None:
    """Return what the record of a whole shard says of the jobs' samples; None where it is of others."""
    content = read_json(folder / _RECORD)
    samples = content["samples"]
    if [each["name"] for each in samples] != [job.sample.name for job in jobs]:
        return None
    results = [_result(each, job) for each, job in zip(samples, jobs, strict=True)]
    return MadeShard(jobs[0].split, Totals.of(content["totals"]), results)


def _plain(result: SampleResult) -> dict[str, Any]:
    stats = {
        field.name: _plain_value(getattr(result.stats, field.name))
        for field in fields(SampleStats)
        if field.name not in ("sample", "split")
    }
    sums = result.sums
    return {
        "name": result.stats.sample.name,
        "stats": stats,
        "digests": [digest.hex() for digest in result.digests],
        "sums": None if sums is None else [each_C.tolist() for each_C in sums],
    }


def _plain_value(value: Any) -> Any:
    return {"pixels": list(value.items())} if isinstance(value, Mapping) else value


def _result(content: Mapping[str, Any], job: SampleJob) -> SampleResult:
    stats = {name: _value(value) for name, value in content["stats"].items()}
    first_and_second = content["sums"]
    return SampleResult(
        stats=SampleStats(sample=job.sample, split=job.split, **stats),
        digests=tuple(bytes.fromhex(digest) for digest in content["digests"]),
        sums=first_and_second and tuple(np.array(each_C) for each_C in first_and_second),
    )


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return Pixels(dict(value["pixels"]))
    return tuple(value) if isinstance(value, list) else value


def _text_digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
