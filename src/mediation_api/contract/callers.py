"""Who may call an operation, in words: a sentence of its description, made of its permission."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mediation_api.domain.access import INTAKE, Permission, Relation, Role

_OF_WHAT: Final[Mapping[Relation, str]] = MappingProxyType(
    {
        Relation.OFFICE: "",
        Relation.OWN: " (their own)",
        Relation.PROPOSED: " (what was proposed to them)",
        Relation.ASSIGNED: " (cases that they accepted and have not left)",
        Relation.MEDIATED: " (cases that they accepted, also after leaving them)",
        Relation.FILED: " (what it filed)",
    }
)

_NAMES: Final[Mapping[Role, str]] = MappingProxyType({Role.PUBLIC: "anybody without a token"})


def in_words(permission: Permission) -> str:
    """Return the sentence, such as "Callers: staff, auditor, complainant, officer (their own).".

    Staff are intake, coordinators and directors.
    """
    access = permission.access
    if len(access) == len(Role):
        return "Callers: everybody, with or without a token."
    callers = {relation: [role for role in Role if access.get(role) is relation] for relation in _OF_WHAT}
    office = callers[Relation.OFFICE]
    are_staff = {*INTAKE} <= {*office}
    names = ["staff"] if are_staff else []
    names += [_NAMES.get(role, str(role)) for role in office if not (are_staff and role in INTAKE)]
    others = [", ".join(roles) + _OF_WHAT[relation] for relation, roles in callers.items() if roles][bool(office) :]
    return f"Callers: {', '.join([*names, *others])}."
