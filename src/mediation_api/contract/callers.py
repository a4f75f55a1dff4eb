"""Who may call an operation, in words: a sentence of its description, made of its permission."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mediation_api.domain.access import Permission, Relation, Role

_OF_WHAT: Final[Mapping[Relation, str]] = MappingProxyType(
    {
        Relation.OFFICE: "",
        Relation.FILED: " (what it filed)",
        Relation.PROPOSED: " (what was proposed to them)",
        Relation.ASSIGNED: " (cases that they accepted and have not left)",
        Relation.MEDIATED: " (cases that they accepted, also after leaving them)",
        Relation.OWN: " (their own)",
    }
)


def in_words(permission: Permission) -> str:
    """Return the sentence, such as "Callers: intake, coordinator, director, complainant (their own)."."""
    access = permission.access
    if len(access) == len(Role):
        return "Callers: everybody, with or without a token."
    roles = sorted(access, key=lambda role: (access[role] is not Relation.OFFICE, list(Role).index(role)))
    names = (("anybody without a token" if role is Role.PUBLIC else role) + _OF_WHAT[access[role]] for role in roles)
    return f"Callers: {', '.join(names)}."
