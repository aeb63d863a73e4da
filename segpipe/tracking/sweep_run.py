"""The MLflow run of a sweep, above those of its trials. What MLflow does not take stops no sweep."""

from collections.abc import Callable, Mapping, Sequence

from segpipe.params.schema import TrackingParams
from segpipe.runtime.console import say
from segpipe.runtime.errors import TrackingError
from segpipe.tracking.calls import reason
from segpipe.tracking.names import valid_names, valid_tags
from segpipe.tracking.run import create_run, standard_tags
from segpipe.tracking.store import Store, find_run, open_store


class SweepRun:
    """The run above those of the trials; one that is not tracked has no `run_id`."""

    def __init__(self, settings: TrackingParams, name: str, known: str | None) -> None:
        """Find the run of that id, or make one. Raises TrackingError when the store cannot be used."""
        self._store: Store | None = None
        self.run_id: str | None = None
        if not settings.enabled:
            return
        self._store = store = open_store(settings)
        try:
            with store.calls() as client:
                run = find_run(client, known)
                if run is None:
                    tags = {**standard_tags(), "sweep": name}
                    run = create_run(client, store, f"sweep {name}", tags)
                else:
                    client.update_run(run.info.run_id, status="RUNNING")
        except Exception as error:  # as below; MLflow's own message may hold a password
            raise TrackingError(
                f"MLflow ({store.address}): the run of the sweep could not be started: {reason(error)}. Try "
                "again, or set `tracking.enabled: false` in params.yaml"
            ) from None
        self.run_id = run.info.run_id

    def tag_trial(self, experiments: Sequence[str], tags: Mapping[str, str]) -> None:
        """Tag the runs of a trial's experiments."""

        def tag(store: Store, run_id: str) -> None:
            with store.calls() as client:
                for name in experiments:
                    wanted = (
                        f"tags.`mlflow.parentRunId` = '{run_id}' and tags.dvc_experiment = '{name}'"
                    )
                    for run in client.search_runs([store.experiment_id], wanted):
                        for key, value in valid_tags(tags).items():
                            client.set_tag(run.info.run_id, key, value)

        self._try(tag)

    def end(self, status: str, metrics: Mapping[str, float]) -> None:
        """End the run. metrics: the best values; status: FINISHED, KILLED or FAILED."""

        def end(store: Store, run_id: str) -> None:
            with store.calls() as client:
                for name, value in zip(valid_names(metrics), metrics.values(), strict=True):
                    client.log_metric(run_id, name, value)
                client.set_terminated(run_id, status=status)

        self._try(end)

    def _try(self, call: Callable[[Store, str], None]) -> None:
        if self._store is None or self.run_id is None:
            return
        try:
            call(self._store, self.run_id)
        except Exception as error:  # MLflow, requests and SQLAlchemy each raise their own
            say(f"warning: MLflow ({self._store.address}): {reason(error)}; the sweep goes on")
