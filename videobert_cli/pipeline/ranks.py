"""How rank 0 of a `torchrun`, which runs the pipeline, has the others take part in a stage (`execute.help_stages`)."""

from videobert_cli.ranks import Ranks, connected_ranks

END = "end"


def call_for_help(stage: str) -> Ranks:
    """Have the other ranks take part in `stage`, which follows, and return all of them."""
    ranks = connected_ranks()
    ranks.say(stage)
    return ranks


def dismiss(ranks: Ranks) -> None:
    """Let the other ranks end."""
    ranks.say(END)
