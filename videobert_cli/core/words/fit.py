"""From features to a projection and a tree: what the k-means is given, what becomes of an unfinished one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from videobert_cli.artifacts import hash_json
from videobert_cli.core.words.fit_state import FitKeeper, FitState
from videobert_cli.core.words.hierarchy import FitHooks, NodeSettings, fit_levels
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.points import TrainingPoints
from videobert_cli.core.words.projection import Projection, fit_projection
from videobert_cli.core.words.rows import TrainingRows
from videobert_cli.core.words.tree import Level
from videobert_cli.errors import InterruptedRunError
from videobert_cli.memory import free_memory_bytes
from videobert_cli.ranks import Ranks

# Part of the identity of an unfinished fit: raised where the same settings would give another tree.
_ALGORITHM = 2
# Of what is free, some is left for what comes beside features: a video while it is read, blocks, copies of them.
_RESERVED_BYTES = 384 << 20


@dataclass(frozen=True, kw_only=True)
class FitControl:
    """What a fit does beside fitting.

    Attributes:
        ranks: The processes that fit together.
        directory: Where an unfinished fit is kept, by the first process alone; None for nowhere.
        features_hash: Hash of the training features, to which an unfinished fit belongs.
        should_stop: Raises InterruptedRunError where a stop was asked for.
        on_progress: Called with levels done, in parts.
    """

    ranks: Ranks = field(default_factory=Ranks)
    directory: Path | None = None
    features_hash: str = ""
    should_stop: Callable[[], None] = lambda: None
    on_progress: Callable[[float], None] = lambda _num_done: None


def fit_tree(
    rows: TrainingRows,
    *,
    options: QuantizeOptions,
    parts: tuple[int, ...],
    seed: int,
    device: torch.device,
    control: FitControl,
) -> tuple[Projection, tuple[Level, ...]]:
    """Return projection and levels fitted on `rows`; goes on where a fit of the same was stopped or killed.

    Raises:
        InputError: A feature is not finite, or its square is no float32 number.
        InterruptedRunError: A stop was asked for; what was done is kept.
    """
    ranks = control.ranks
    identity = hash_json(
        [_ALGORITHM, control.features_hash, options.settings(), seed, rows.num_rows, list(parts)]
    )
    keeper = FitKeeper(control.directory if ranks.index == 0 else None, identity=identity)
    state = ranks.say(keeper.load() if ranks.index == 0 else None)
    if state is None:
        projection = fit_projection(
            rows,
            parts=parts,
            standardize_parts=options.scaling == "standardize_parts",
            num_components=options.num_components,
            whiten=options.whiten,
            seed=seed,
            device=device,
            ranks=ranks,
        )
        state = FitState(projection=projection)
    state = state.on(device)
    keeper.take(state)
    max_memory_bytes = options.max_memory_bytes or _share(free_memory_bytes(device))
    points = TrainingPoints(
        rows, projection=state.projection, device=device, ranks=ranks, max_memory_bytes=max_memory_bytes
    )
    settings = NodeSettings(
        branching=options.branching,
        num_iterations=options.num_iterations,
        tolerance=options.tolerance,
        seed=seed,
    )
    try:
        levels = fit_levels(
            points,
            num_levels=options.num_levels,
            settings=settings,
            state=state,
            hooks=_hooks(control, keeper),
            max_memory_bytes=max_memory_bytes,
        )
    except InterruptedRunError:
        keeper.save()
        raise
    keeper.discard()
    return state.projection, levels


def _share(num_free_bytes: int) -> int:
    """Return how much of the free memory training features get: half of what is left beyond the reserve.

    >>> _share(16 << 30) / (1 << 30)
    7.8125
    """
    return max(num_free_bytes // 8, (num_free_bytes - _RESERVED_BYTES) // 2)


def _hooks(control: FitControl, keeper: FitKeeper) -> FitHooks:
    """Return what the fit calls; processes that fit together stop together, after an iteration."""
    ranks = control.ranks

    def stop_together() -> None:
        stopped: InterruptedRunError | None = None
        try:
            control.should_stop()
        except InterruptedRunError as error:
            stopped = error
        if any(ranks.gather(stopped is not None)):
            raise stopped or InterruptedRunError(
                "another process of this fit was stopped", fix="run the same command again to go on"
            )

    def on_state(state: FitState) -> None:
        keeper.take(state)
        if ranks.num > 1:
            stop_together()

    return FitHooks(
        should_stop=control.should_stop if ranks.num == 1 else lambda: None,
        on_state=on_state,
        on_progress=control.on_progress,
    )
