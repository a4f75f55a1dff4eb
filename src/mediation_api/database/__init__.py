"""Connections, tables, row security and encryption: what every repository needs."""

import sys
from types import ModuleType
from typing import Final

_SESSIONS: Final = ("sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.session")


def _without_orm() -> None:
    """Let `sqlalchemy.ext.asyncio` be imported without its sessions.

    They import the ORM, which nothing here uses, and which takes 6 MB in each process. In their place are modules in
    which every name is None.
    """
    for name in _SESSIONS:
        empty = ModuleType(name)
        empty.__dict__["__getattr__"] = lambda _name: None
        sys.modules.setdefault(name, empty)


_without_orm()
