"""Many trainings of one recipe, each with other values: the stages before it are made once, the best is a recipe.

On disk, under the run: `sweeps/NAME/study.db` (Optuna's), `sweep.json` (what it was begun with), `trials/NUMBER/`
(a run each, its earlier stages links to the run's own) and `best.yaml`.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import discard, publish_json, publish_text
from videobert_cli.core.training.history import curves, read_records
from videobert_cli.core.training.records import METRICS_NAME
from videobert_cli.errors import (
    ArtifactError,
    InputError,
    NonFiniteLossError,
    ResourceError,
    StaleStageError,
    UsageError,
)
from videobert_cli.pipeline.execute import chain, make_upstream, run_pipeline
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.study import Study, Trial, TrialPrunedError
from videobert_cli.pipeline.trial_news import TrialNews
from videobert_cli.recipe.load import LoadedRecipe, load_recipe
from videobert_cli.recipe.snapshot import difference, resolved_yaml
from videobert_cli.recipe.sweep import Sweep, setting

SWEEPS_NAME = "sweeps"
BEST_NAME = "best.yaml"
_RECORD_NAME = "sweep.json"
# A combination of values may be impossible where each is legal by itself: another trial is then asked for.
_TRIAL_FAILS = (NonFiniteLossError, UsageError, ArtifactError)

MakeRun = Callable[[LoadedRecipe, Callable[[str, Mapping[str, Any]], None]], Run]


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a sweep ended: its trials by state, the best one, and where its recipe is."""

    num_trials: int
    num_pruned: int
    num_failed: int
    best_number: int
    best_value: float
    best_settings: Mapping[str, Any]
    best_recipe: Path
    directory: Path
    was_finished: bool


class SweepRunner:
    """Runs the trials of a sweep of one stage, one after another, from wherever a killed process left them."""

    def __init__(self, run: Run, sweep: Sweep, *, target: str, make_run: MakeRun) -> None:
        """Args:
        run: The recipe's own run, whose earlier stages all trials share.
        make_run: Returns the run of a trial's recipe, and has it tell each line of metrics to whom it is given.
        """
        self._run = run
        self._sweep = sweep
        self._target = target
        self._make_run = make_run
        self.directory = run.paths.root / SWEEPS_NAME / sweep.path.stem

    def run(self, *, upstream: bool, overwrite: bool) -> SweepResult:
        """Make what is missing before the stage, then trials until there are as many as the sweep asks for.

        Raises:
            UsageError: A key of the space changes an earlier stage, or nothing; there is no such metric.
            StaleStageError: The study was begun with another space, metric or recipe.
            InputError: Nothing is held out, or not one trial came to its end.
            InterruptedRunError: A stop was asked for; the trial goes on where it is saved.
        """
        self._require_useful_keys()
        make_upstream(self._run, target=self._target, upstream=upstream, overwrite=overwrite)
        with self._run.open():
            self._begin(overwrite=overwrite)
            study = Study(
                self.directory, self._sweep, num_steps=self._loop.num_steps, seed=self._run.recipe.seed
            )
            was_finished = study.num_ended >= self._sweep.num_trials
            while study.num_ended < self._sweep.num_trials:
                self._run.stop.raise_if_requested(f"{study.num_ended:,} of {self._sweep.num_trials:,} trials")
                self._try(study)
            return self._finish(study, was_finished=was_finished)

    # --- one trial -----------------------------------------------------------------------------------------------

    def _try(self, study: Study) -> None:
        trial, started = study.next_trial(), time.monotonic()
        shown = "  ".join(setting(key, value) for key, value in trial.settings.items())
        begun = "goes on" if trial.was_begun else "begins"
        self._run.reporter.line(f"trial {trial.number} {begun}: {shown}")
        try:
            loaded = self._trial_recipe(trial)
            run = self._make_run(loaded, self._watch(trial))
            run.reporter = TrialNews(run.reporter, number=trial.number)
            self._link_upstream(run)
            run_pipeline(run, target=self._target, upstream=False, overwrite=False)
            value = self._value(run)
        except TrialPrunedError:
            study.tell_pruned(trial)
            told = "pruned: no better than the others so far"
        except _TRIAL_FAILS as error:
            if isinstance(error, UnknownMetricError):
                self._forget(study)
                raise
            study.tell_failed(trial)
            told = f"failed: {error.what.splitlines()[0]}"
        except ResourceError:
            # It would fail again: the same command goes on with the next trial.
            study.tell_failed(trial)
            raise
        else:
            study.tell(trial, value)
            told = f"{self._sweep.metric} {value:.6g}"
        self._tidy(study, trial)
        seconds = time.monotonic() - started
        self._run.reporter.stage_finished(f"trial {trial.number}", summary=told, seconds=seconds)

    def _watch(self, trial: Trial) -> Callable[[str, Mapping[str, Any]], None]:
        def watch(stage: str, record: Mapping[str, Any]) -> None:
            numbers = record.get("validation")
            if stage != self._target or not isinstance(numbers, Mapping):
                return
            if self._sweep.metric not in numbers:
                raise UnknownMetricError(
                    f"there is no metric {self._sweep.metric!r} in the validations",
                    at=f"{self._sweep.path.name}: metric",
                    fix=f"name one of: {', '.join(numbers)}",
                )
            trial.report(numbers[self._sweep.metric], step=record["step"])

        return watch

    def _trial_recipe(self, trial: Trial) -> LoadedRecipe:
        ours = self._run.loaded
        kept = [override for override in ours.overrides if not override.startswith("run=")]
        values = [setting(key, value) for key, value in trial.settings.items()]
        return load_recipe(
            ours.path, overrides=[*kept, *values, setting("run", str(self._trial_directory(trial.number)))]
        )

    def _trial_directory(self, number: int) -> Path:
        return self.directory / "trials" / f"{number:04d}"

    def _link_upstream(self, run: Run) -> None:
        """Have the trial's earlier stages be the run's own."""
        run.paths.root.mkdir(parents=True, exist_ok=True)
        for stage in chain(self._run, target=self._target)[:-1]:
            link, theirs = run.paths.stage(stage.name), self._run.paths.stage(stage.name)
            if not link.is_symlink() and theirs.is_dir():
                link.symlink_to(os.path.relpath(theirs, link.parent), target_is_directory=True)

    def _value(self, run: Run) -> float:
        """Return the metric of the weights that the model got: of the best validation, or of the last."""
        held_out = curves(read_records(run.directory(self._target) / METRICS_NAME), "validation")
        points = dict(held_out.get(self._sweep.metric, []))
        if not points:
            raise InputError(
                "nothing is held out, so no trial can be told from another",
                at="the videos of the validation split",
                fix="have some: --set data.validation_fraction=0.1, or `split` in the list of videos",
            )
        losses = held_out.get("loss", [])
        if run.recipe.training(self._target).loop.final_weights == "best" and losses:
            best_step = min(losses, key=lambda point: point[1])[0]
            return points.get(best_step, points[max(points)])
        return points[max(points)]

    def _tidy(self, study: Study, trial: Trial) -> None:
        """Keep what is for going on of no trial that has ended: checkpoints, many times the model's size, tokens."""
        directory = self._trial_directory(trial.number)
        for name in ("checkpoints", "tokens"):
            for path in directory.glob(f"{self._target}*/{name}"):
                discard(path)
        best = study.best
        if best is not None and best.number == trial.number:
            self._write_best(best)

    # --- the sweep -----------------------------------------------------------------------------------------------

    @property
    def _loop(self) -> Any:
        return self._run.recipe.training(self._target).loop

    def _begin(self, *, overwrite: bool) -> None:
        """Write down what the study is made from, and refuse to go on with another one's.

        Raises:
            StaleStageError: It was begun with another space, metric or recipe.
        """
        path, wanted = self.directory / _RECORD_NAME, self._record()
        if path.is_file():
            recorded = json.loads(path.read_text(encoding="utf-8"))
            differences = difference(recorded, wanted)
            if differences and not overwrite:
                shown = "\n".join(f"  {line}" for line in differences)
                raise StaleStageError(
                    f"the sweep {self.directory.name} was begun with something else than is now asked for\n{shown}",
                    at=str(self.directory),
                    fix="give the sweep's file another name, or begin anew: the same command with --overwrite",
                )
            if differences:
                self._run.reporter.line(f"sweep {self.directory.name}: begun anew (--overwrite)")
                discard(self.directory)
        publish_json(path, wanted)

    def _record(self) -> dict[str, Any]:
        stage = chain(self._run, target=self._target)[-1]
        settings = json.loads(json.dumps(stage.settings(self._run)))
        for dimension in self._sweep.space:
            _remove(settings, dimension.key.split("."))
        return {"sweep": self._sweep.record(), **settings, "inputs": stage.inputs(self._run)}

    def _require_useful_keys(self) -> None:
        """Refuse keys that an earlier stage is made from, or none.

        Raises:
            UsageError: There is one.
        """
        *before, stage = chain(self._run, target=self._target)
        ours = self._run.loaded
        for dimension in self._sweep.space:
            runs = [
                self._make_run(
                    load_recipe(ours.path, overrides=[*ours.overrides, setting(dimension.key, value)]),
                    lambda _stage, _record: None,
                )
                for value in dimension.values
            ]
            shared = [
                earlier.name for earlier in before
                if any(earlier.settings(run) != earlier.settings(self._run) for run in runs)
            ]  # fmt: skip
            if shared:
                raise self._useless(dimension.key, f"changes {shared[0]}, which all trials share")
            if all(stage.settings(run) == stage.settings(self._run) for run in runs):
                raise self._useless(dimension.key, f"changes nothing that {self._target} makes")

    def _useless(self, key: str, problem: str) -> UsageError:
        return UsageError(
            f"{key} {problem}",
            at=self._sweep.path.name,
            fix=f"sweep keys of `{self._target}:`; for others make a run each (--set {key}=... --set run=DIR)",
        )

    def _forget(self, study: Study) -> None:
        """Throw the study away where it has learnt nothing, so that a mended file can begin."""
        if study.num_ended == 0:
            discard(self.directory)

    def _write_best(self, best: Trial) -> None:
        head = f"# Trial {best.number} of the sweep {self._sweep.path.name}: {self._sweep.metric} {best.value:.6g}.\n"
        publish_text(self.directory / BEST_NAME, head + resolved_yaml(self._trial_recipe(best).recipe))

    def _finish(self, study: Study, *, was_finished: bool) -> SweepResult:
        best = study.best
        if best is None or best.value is None:
            raise InputError(
                f"not one of {study.num_ended:,} trials came to its end",
                at=str(self.directory),
                fix="mend the space (each trial's line says what failed), then run the same command with --overwrite",
            )
        self._write_best(best)
        return SweepResult(
            num_trials=study.num_ended,
            num_pruned=study.num_pruned,
            num_failed=study.num_failed,
            best_number=best.number,
            best_value=best.value,
            best_settings=best.settings,
            best_recipe=self.directory / BEST_NAME,
            directory=self.directory,
            was_finished=was_finished,
        )


class UnknownMetricError(UsageError):
    """The sweep's metric is none of a validation's."""


def _remove(tree: dict[str, Any], path: list[str]) -> None:
    for name in path[:-1]:
        tree = tree.get(name, {})
    tree.pop(path[-1], None)
