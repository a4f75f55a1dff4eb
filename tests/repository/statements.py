"""Statements are built once and cached; a test that changes how they are built has them built again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def put_together_anew() -> Iterator[None]:
    """Inside the block, and again after it."""
    _forget()
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("mediation_api.database.", "mediation_api.repository.")):
            for made in vars(module).values():
                if hasattr(made, "cache_clear"):
                    made.cache_clear()
