"""Which words of the command line belong to the process that `-x` names. Pure.

Rule: I1. The words after `ns:name`, up to the next option of the command itself, are the process's
arguments, so `--json` is one; after `--` every word is. What remains is for the ordinary parser.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

EXEC = ("-x", "--exec")


class WordsError(ValueError):
    """A command line that cannot be split."""


@attrs.frozen(slots=True)
class Words:
    """A split command line."""

    # For the parser of the command.
    rest: tuple[str, ...]
    # The process's id, None without `-x`.
    process: str | None = None
    arguments: tuple[str, ...] = ()


def split_words(words: Sequence[str], options: Collection[str]) -> Words:
    """Take `-x ns:name args...` out of a command line.

    Args:
        options: the command's own options, as `--set` or `-x`; they end the arguments.

    Raises: WordsError.

    >>> split_words(["app", "-x", "a:b", "1", "--json", "--set", "k=v", "--", "--set"], {"--set"})
    Words(rest=('app', '--set', 'k=v'), process='a:b', arguments=('1', '--json', '--set'))
    """
    before, after = list(words), []
    if "--" in before:
        cut = before.index("--")
        before, after = before[:cut], before[cut + 1 :]
    place = next((i for i, word in enumerate(before) if word in EXEC), None)
    if place is None:
        if after:
            raise WordsError("the words after -- are arguments of a process: name it with -x")
        return Words(tuple(before))
    if place + 1 == len(before):
        raise WordsError("-x needs the id of a process, namespace:name")
    end = place + 2
    while end < len(before) and before[end].partition("=")[0] not in options:
        end += 1
    rest = before[:place] + before[end:]
    if any(word in EXEC for word in rest):
        raise WordsError("-x may be given once")
    arguments = (*before[place + 2 : end], *after)
    return Words(tuple(rest), before[place + 1], arguments)
