"""Optuna's part of a sweep: which values to try next, which trial to give up, and all of it in a file that survives."""

import importlib.util
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videobert_cli.errors import UsageError
from videobert_cli.recipe.sweep import Dimension, Sweep
from videobert_cli.runtime import derive_seed

STUDY_NAME = "study.db"


class TrialPrunedError(Exception):
    """Ends a training whose trial is given up; no user meets it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial: its number, its settings by key, its value once it has ended, whether a process began it before."""

    number: int
    settings: Mapping[str, Any]
    value: float | None = None
    was_begun: bool = False
    handle: Any = None
    reported_steps: frozenset[int] = frozenset()

    def report(self, value: float, *, step: int) -> None:
        """Tell the study how good the trial is after `step` steps.

        Raises:
            TrialPrunedError: It is given up.
        """
        if step not in self.reported_steps:
            self.handle.report(value, step)
        if self.handle.should_prune():
            raise TrialPrunedError


def require_optuna() -> None:
    """Refuse to begin without Optuna.

    Raises:
        UsageError: It is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UsageError(
            "the package optuna, which chooses what to try, is not installed",
            at="--sweep",
            fix="pip install 'videobert-cli[sweep]'",
        )


class Study:
    """The trials of a sweep, in `study.db`; one process alone works on it, as it holds the run's lock."""

    def __init__(self, directory: Path, sweep: Sweep, *, num_steps: int, seed: int) -> None:
        """Args: `num_steps` is the length of a trial's training, for pruning by budgets."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._sweep = sweep
        self._seed = seed
        directory.mkdir(parents=True, exist_ok=True)
        self._study = optuna.create_study(
            storage=f"sqlite:///{directory / STUDY_NAME}",
            study_name=sweep.path.stem,
            direction=sweep.direction,
            pruner=_pruner(sweep, num_steps=num_steps),
            load_if_exists=True,
        )
        self._distributions = {dimension.key: _distribution(dimension) for dimension in sweep.space}

    @property
    def num_ended(self) -> int:
        """How many trials have ended, one way or another."""
        return sum(trial.state.is_finished() for trial in self._trials())

    @property
    def num_pruned(self) -> int:
        """How many trials were given up."""
        return len(self._trials(self._optuna.trial.TrialState.PRUNED))

    @property
    def num_failed(self) -> int:
        """How many trials failed."""
        return len(self._trials(self._optuna.trial.TrialState.FAIL))

    @property
    def best(self) -> Trial | None:
        """The best trial that came to its end; the first of equals."""
        ended = [
            trial for trial in self._trials(self._optuna.trial.TrialState.COMPLETE) if trial.value is not None
        ]
        sign = 1 if self._sweep.direction == "minimize" else -1
        found = min(ended, key=lambda trial: (sign * trial.value, trial.number), default=None)
        return None if found is None else self._seen(found)

    def next_trial(self) -> Trial:
        """Return a trial that a killed process left behind, else a new one.

        A new trial's values are a function of the seed, its number and how the trials before it ended, so that a sweep
        that was killed draws what it would have drawn.
        """
        for left in self._trials(self._optuna.trial.TrialState.RUNNING):
            if set(left.params) == set(self._distributions):
                return self._seen(left, was_begun=True)
            # Killed between two of its values: nothing was trained.
            self._study.tell(left.number, state=self._optuna.trial.TrialState.FAIL)
        number = len(self._trials())
        self._study.sampler = self._sampler(derive_seed(self._seed, "trial", number) % 2**32)
        asked = self._study.ask(self._distributions)
        return self._seen(self._trials()[asked.number])

    def tell(self, trial: Trial, value: float) -> None:
        """Note that a trial came to its end."""
        self._study.tell(trial.number, value)

    def tell_pruned(self, trial: Trial) -> None:
        """Note that a trial was given up."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.PRUNED)

    def tell_failed(self, trial: Trial) -> None:
        """Note that a trial failed."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def _trials(self, *states: Any) -> list[Any]:
        found: list[Any] = self._study.get_trials(deepcopy=False, states=states or None)
        return found

    def _seen(self, frozen: Any, *, was_begun: bool = False) -> Trial:
        kinds = {dimension.key: dimension.kind for dimension in self._sweep.space}
        return Trial(
            number=frozen.number,
            settings={
                key: json.loads(value) if kinds[key] == "choice" else value
                for key, value in frozen.params.items()
            },
            value=frozen.value if frozen.state.is_finished() else None,
            was_begun=was_begun,
            handle=self._optuna.trial.Trial(self._study, frozen._trial_id),  # noqa: SLF001 - how Optuna names a trial to resume
            reported_steps=frozenset(frozen.intermediate_values),
        )

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._sweep.sampler == "random":
                return samplers.RandomSampler(seed=seed)
            return samplers.TPESampler(
                seed=seed, n_startup_trials=min(10, max(1, self._sweep.num_trials // 3))
            )


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if dimension.kind == "choice":
        # As text: a choice of the recipe may be a list, of Optuna not.
        return distributions.CategoricalDistribution([json.dumps(value) for value in dimension.values])
    low, high = dimension.values
    if dimension.kind == "int":
        step = 1 if dimension.step is None else int(dimension.step)
        return distributions.IntDistribution(low, high, log=dimension.is_log, step=step)
    return distributions.FloatDistribution(float(low), float(high), log=dimension.is_log, step=dimension.step)


def _pruner(sweep: Sweep, *, num_steps: int) -> Any:
    from optuna import pruners

    if sweep.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=3)
    if sweep.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, num_steps // 9), max_resource=num_steps)
    return pruners.NopPruner()
