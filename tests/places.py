"""Where throw-away databases go."""

import os
import shutil
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - `tempfile` makes what is used in it
_ROOM: Final = 2**30
"""Bytes: ten times what a run of the suite takes at its largest."""


def _throw_away() -> str:
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM
    return str(_MEMORY) if roomy else "/tmp"  # noqa: S108 - as above


THROW_AWAY: Final = _throw_away()
"""In memory where Linux offers it: each database is hundreds of files. Short, since a socket goes in it."""
