"""Sending what a store lacks of an outbox: doing it again, in any process, changes nothing."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from segpipe.runtime.console import say
from segpipe.runtime.lock import held_folder
from segpipe.tracking.calls import LONG, reason
from segpipe.tracking.outbox import Outbox, Row, outbox_folders, run_of, unsent_folder
from segpipe.tracking.store import Store, find_run

# MLflow takes this many values in one call; no row has more.
BATCH = 1000


def send_missing_rows(store: Store, outbox: Outbox) -> int:
    """Send the rows that the run lacks, oldest first; return how many values these are.

    Raises what MLflow raises; the rows then stay in the outbox, since nobody knows which arrived.
    """
    waiting = list(outbox.rows)
    missing = _missing(store, outbox.run_id, waiting)
    rows_per_call = BATCH // max((len(row.values) for row in missing), default=1)
    for start in range(0, len(missing), rows_per_call):
        send_rows(store, outbox.run_id, missing[start : start + rows_per_call])
    del outbox.rows[: len(waiting)]  # whoever appends meanwhile does so at the other end
    return sum(len(row.values) for row in missing)


def send_rows(store: Store, run_id: str, rows: Sequence[Row]) -> None:
    """Send rows of up to BATCH values in one call."""
    from mlflow.entities import Metric

    metrics = [
        Metric(name, value, row.timestamp, row.step or 0)
        for row in rows
        for name, value in row.values.items()
    ]
    with store.calls() as client:
        client.log_batch(run_id, metrics=metrics, synchronous=True)


def send_files(store: Store, outbox: Outbox, stop: Callable[[], bool]) -> int:
    """Send the artifacts and delete them in the outbox; return how many these were.

    stop: whether to leave the rest to the next process. Raises the last error when all files were
    tried: one that fails does not hold back the others.
    """
    files, failed = outbox.files(), None
    if files:
        # A file waits long for an answer, so first ask briefly whether anybody is there.
        with store.calls() as client:
            client.get_run(outbox.run_id)
    for path in files:
        if stop():
            break
        under = path.parent.relative_to(outbox.folder).as_posix()
        try:
            with store.calls(LONG) as client:
                client.log_artifact(outbox.run_id, str(path), None if under == "." else under)
            path.unlink()
        except Exception as error:  # MLflow, requests and the system each raise their own
            failed = error
    if failed:
        raise failed
    return len(files)


def send_abandoned(store: Store, stop: Callable[[], bool]) -> None:
    """Send what processes that ended have left, of all runs that the store has, and end those runs.

    What the store does not take stays; one line says why.
    """
    failed = None
    for run_id in sorted({run_of(folder) for folder in outbox_folders()}):
        try:
            _send_abandoned(store, run_id, stop)
        except Exception as error:  # MLflow, requests and the system each raise their own
            failed = error
    if failed:
        say(
            f"warning: MLflow ({store.address}): {reason(failed)}; what earlier processes left in "
            f"{unsent_folder()} stays there"
        )


def _send_abandoned(store: Store, run_id: str, stop: Callable[[], bool]) -> None:
    with ExitStack() as stack:
        folders = outbox_folders(run_id)
        left = [Outbox(folder) for folder in folders if stack.enter_context(held_folder(folder))]
        if stop() or not left:
            return
        with store.calls() as client:
            run = find_run(client, run_id)
            if run is None:  # it is in another store, or was deleted
                return
            # A process that continues a run makes its folder before it sets the status.
            if run.info.status == "RUNNING" and len(left) == len(outbox_folders(run_id)):
                status, time = max((box.end for box in left if box.end), key=lambda end: end[1])
                client.set_terminated(run_id, status, time)
        values = sum(send_missing_rows(store, outbox) for outbox in left)
        files = sum(send_files(store, outbox, stop) for outbox in left)
        if stop():
            return
        for outbox in left:
            outbox.remove()
        if values or files:
            say(
                f"MLflow: {values} metric values and {files} files of run {run_id}, which an earlier "
                "process could not send, have been sent"
            )


def _missing(store: Store, run_id: str, rows: Sequence[Row]) -> list[Row]:
    """Leave out the rows that the run has: those with a step by it, the others by their time.

    A store takes a call whole or not at all, so the first metric of a row stands for all of it.
    """
    stored: dict[str, set[tuple[str, int]]] = {}
    missing = []
    for row in rows:
        first = next(iter(row.values))
        if first not in stored:
            with store.calls() as client:
                points = client.get_metric_history(run_id, first)
            stored[first] = {("step", int(point.step)) for point in points}
            stored[first] |= {("time", int(point.timestamp)) for point in points}
        key = ("time", row.timestamp) if row.step is None else ("step", row.step)
        if key not in stored[first]:
            stored[first].add(key)
            missing.append(row)
    return missing
