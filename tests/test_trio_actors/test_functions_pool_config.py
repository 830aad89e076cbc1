"""Which pool an entry gets. Rules: PL1, PL2, PL3."""

import pytest

from trio_actors.fields import FieldError
from trio_actors.functions.pool_config import Overflow, PoolConfig, PoolType, parse_pool


def static(workers: int = 8, buffer: int | None = None) -> PoolConfig:
    return PoolConfig(
        PoolType.STATIC, workers, workers * 64 if buffer is None else buffer, Overflow.BLOCK, None
    )


def lazy(size: int = 16, idle: float = 30.0) -> PoolConfig:
    return PoolConfig(PoolType.LAZY, size, size * 64, Overflow.BLOCK, idle)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (None, lazy()),
        ({}, lazy()),
        ({"workers": 2}, static(2)),
        ({"max_size": 4}, lazy(4)),
        ({"workers": 2, "max_size": 4}, static(2)),
        ({"type": "lazy", "max_size": 32}, lazy(32)),
        ({"type": "static"}, static()),
        ({"type": "static", "workers": 8, "buffer": 512}, static(8, 512)),
        ({"type": "lazy", "idle_timeout": "5s"}, lazy(idle=5.0)),
        ({"type": "lazy", "idle_timeout": 250}, lazy(idle=0.25)),
        ({"type": "inline"}, PoolConfig(PoolType.INLINE, 1, None, Overflow.BLOCK, None)),
        (
            {"type": "adaptive", "max_size": 256},
            PoolConfig(PoolType.ADAPTIVE, 256, 256 * 64, Overflow.BLOCK, None),
        ),
        (
            {"workers": 1, "buffer": 1, "overflow": "reject"},
            PoolConfig(PoolType.STATIC, 1, 1, Overflow.REJECT, None),
        ),
    ],
)
def test_fz13_the_fields_present_choose_the_pool(block: object, expected: PoolConfig) -> None:
    """FZ13, PL1, PL2: the whole configuration, defaults included."""
    assert parse_pool(block) == expected


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"type": "lasy"}, "pool.type"),
        ({"size": 4}, "pool.size"),
        ({"warm_start": True}, "pool.warm_start"),
        ({"type": "static", "max_size": 4}, "pool.max_size"),
        ({"type": "lazy", "workers": 4}, "pool.workers"),
        ({"type": "inline", "buffer": 4}, "pool.buffer"),
        ({"type": "adaptive", "idle_timeout": "1s"}, "pool.idle_timeout"),
        ({"workers": 0}, "pool.workers"),
        ({"workers": True}, "pool.workers"),
        ({"workers": 1.5}, "pool.workers"),
        ({"workers": "8"}, "pool.workers"),
        ({"max_size": 0}, "pool.max_size"),
        ({"buffer": -1}, "pool.buffer"),
        ({"overflow": "drop"}, "pool.overflow"),
        ({"idle_timeout": 0}, "pool.idle_timeout"),
        ({"idle_timeout": "soon"}, "pool.idle_timeout"),
        ({"type": "adaptive", "buffer": 0, "overflow": "reject"}, "pool.buffer"),
        ([1], "pool"),
    ],
)
def test_a_bad_pool_names_the_field(block: object, path: str) -> None:
    """PL3: every load error, with its field."""
    with pytest.raises(FieldError) as caught:
        parse_pool(block)
    assert caught.value.path == path


def test_the_text_names_what_was_expected_and_found() -> None:
    """LD5: expected and found in one line, and the names for a suggestion."""
    with pytest.raises(FieldError) as caught:
        parse_pool({"type": "lasy"})
    assert str(caught.value) == 'pool.type: expected inline, static, lazy or adaptive; found "lasy"'
    assert caught.value.choices == ("inline", "static", "lazy", "adaptive")
