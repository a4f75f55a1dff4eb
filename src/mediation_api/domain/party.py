"""A party on file: what may be corrected, and which corrections would make it another person.

The identity of a party is fixed once it was asked, because a consent and a signature belong to a person. The wrong
party is removed, and the right one is added and asked. What follows for the case is in `reopening.py`.

Source of the rules: docs/rules.md, "The lifecycle".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from mediation_api.domain import events, on_file
from mediation_api.domain.access_codes import AccessCode, digest, fingerprint
from mediation_api.domain.employee_numbers import folded
from mediation_api.domain.errors import (
    IdentityFixed,
    IdentityNotBound,
    Invalid,
    LimitReached,
    OfficerHasNoCode,
    PartAlreadyMediated,
    PartyAlreadyRemoved,
)
from mediation_api.domain.retention import require_held
from mediation_api.domain.values import MOST_PARTIES, NameCorrection, RemovalReason, Side, VoidReason

GUARDIAN = ("guardian_name", "guardian_relation")
"""The fields that identify the guardian; contact data may change freely."""


def add(party_id: UUID, side: Side, values: Mapping[str, object], *, others: int) -> events.PartyAdded:
    """Add a party to a complaint that has `others`, those included who were removed.

    Raises:
        LimitReached: the complaint has as many parties as it may have.
    """
    if others >= MOST_PARTIES:
        raise LimitReached
    record = on_file.entered(on_file.NEW_PARTY, values)
    return events.PartyAdded(party_id=party_id, side=side, on_file=record, values=values)


def permission_to_write(changes: Mapping[str, object]) -> Mapping[str, object]:
    """Return what `changes` that say nothing about `email_allowed` do to it.

    A new address, or another way in which the person can be reached safely, ends the permission to write to the person:
    it was given for the ones before.
    """
    return {"email_allowed": False} if changes.keys() & {"email", "safe_contact"} else {}


def issue_code(party_id: UUID, code: AccessCode, secret_key: bytes) -> events.AccessCodeIssued:
    """Return the event of issuing an access code, of which only a keyed hash is stored."""
    kept = digest(code, secret_key)
    return events.AccessCodeIssued(
        party_id=party_id, fingerprint=fingerprint(code.lookup, kept), lookup=code.lookup, digest=kept
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The result of a correction of a party."""

    events: tuple[events.PartyCorrected | events.NameCorrected, ...]
    """The second one if a name changes and the person stays the same."""
    voids: VoidReason | None
    """Why the party's consent is void after the correction; None if it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One party of a complaint, as it is on file.

    `asked` is whether this person was asked in any case, `mediated` whether any of its parts was mediated.
    """

    party_id: UUID
    side: Side
    name: str
    on_file: events.PartyOnFile
    employee_number: str | None = None
    minor: bool = False
    guardian_name: str | None = None
    guardian_relation: str | None = None
    asked: bool = False
    mediated: bool = False
    removed: bool = False
    identity_bound: bool = False

    def correct(self, changes: Mapping[str, object], name_correction: NameCorrection | None) -> Correction:
        """Correct what is on file of this person. Without changes, nothing happens.

        `name_correction` states that a name changes and the person does not. Without it, a new guardian is another
        person, and the minor has to answer again.

        Raises:
            DataErased: the person's data was erased, and is not stored again.
            PartyAlreadyRemoved: the party was removed.
            IdentityFixed: the party was asked, and would become another person.
            Invalid: `name_correction` without a changed name field.
        """
        if not changes and name_correction is None:
            return Correction(events=(), voids=None)
        require_held(self.name)
        self._require_not_removed()
        guardian = any(name in changes and changes[name] != getattr(self, name) for name in GUARDIAN)
        renamed = changes.get("name", self.name) != self.name
        if name_correction is not None and not changes.keys() & {"name", *GUARDIAN}:
            raise Invalid(
                "/name_correction_reason", "only-with-name", "A reason is accepted only with a corrected name."
            )
        if self.asked:
            self._require_same_person(changes, renamed=renamed and name_correction is None)
        corrected = events.PartyCorrected(
            party_id=self.party_id,
            changed=tuple(sorted(changes)),
            on_file=on_file.corrected(self.on_file, changes),
            values=changes,
        )
        reason = name_correction if renamed or guardian else None
        return Correction(
            events=(corrected,)
            if reason is None
            else (corrected, events.NameCorrected(party_id=self.party_id, reason=reason)),
            voids=self._voids(changes, another_guardian=guardian and name_correction is None),
        )

    def remove(self, reason: RemovalReason) -> events.PartyRemoved:
        """Remove the wrong party.

        Raises:
            PartyAlreadyRemoved: it was removed before.
            PartAlreadyMediated: a part of this party was mediated, and stays closed.
        """
        self._require_not_removed()
        if self.mediated:
            raise PartAlreadyMediated
        return events.PartyRemoved(party_id=self.party_id, side=self.side, reason=reason)

    def release_identity(self) -> events.IdentityReleased:
        """Release the token subject that the party is bound to, as when an officer has a new account.

        Raises:
            PartyAlreadyRemoved: the party was removed.
            IdentityNotBound: the party is not bound to one.
        """
        self._require_not_removed()
        if not self.identity_bound:
            raise IdentityNotBound
        return events.IdentityReleased(party_id=self.party_id)

    def issue_code(self, code: AccessCode, secret_key: bytes) -> events.AccessCodeIssued:
        """Issue a new access code to a complainant; the one before stops working.

        Raises:
            DataErased, PartyAlreadyRemoved: nobody may act for a party that was erased or removed.
            OfficerHasNoCode: officers sign in with the city's account.
        """
        require_held(self.name)
        self._require_not_removed()
        if self.side is not Side.COMPLAINANT:
            raise OfficerHasNoCode
        return issue_code(self.party_id, code, secret_key)

    def _require_not_removed(self) -> None:
        if self.removed:
            raise PartyAlreadyRemoved

    def _require_same_person(self, changes: Mapping[str, object], *, renamed: bool) -> None:
        number = changes.get("employee_number", self.employee_number)
        if renamed or _folded(number) != _folded(self.employee_number):
            raise IdentityFixed

    def _voids(self, changes: Mapping[str, object], *, another_guardian: bool) -> VoidReason | None:
        if changes.get("minor") is True and not self.minor:
            return VoidReason.FOUND_MINOR
        if another_guardian and self.guardian_name is not None:
            return VoidReason.GUARDIAN_CHANGED
        return None


def _folded(number: object) -> str | None:
    return folded(number) if isinstance(number, str) else None
