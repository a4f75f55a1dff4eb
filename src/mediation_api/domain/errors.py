"""Refusals: one exception class per rule of the domain.

    Refusal
    ├── NotFound                absent, or outside the caller's access scope: the same answer for both
    ├── NotPermitted            the caller's role may not do this with any object
    │   ├── OfficeFilter        the role may not filter a list by what it does not see
    │   ├── ScopeMissing        the role may do this, but the token is limited to other scopes
    │   └── ScopeUnknown        the token names a scope of this service that does not exist
    ├── Unauthenticated         no token, or an invalid one
    │   ├── TokenExpired
    │   ├── TokenRevoked        the access code that was exchanged for the token is no longer valid
    │   └── AccessCodeInvalid   wrong, replaced or unknown: the same answer for all three
    ├── Invalid                 well-typed, but a field breaks a rule of its own
    └── Conflict                well-formed, but refused by a rule of mediation or the state of the case
        ├── CaseNotOpen         …
        ├── StateConflict       not possible in the present state
        ├── ConditionsMissing   a gate is shut; with the list of what is missing
        └── …                   one class for each other rule, below

A refusal has a stable `code` and a sentence for a person. It never contains a name, a narrative or a value of the
request. One table in `http/problems.py` maps each class to its HTTP status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID


class Refusal(Exception):
    """A rule refused the request. `code` is stable; `detail` is a sentence and may change.

    The sentence is in English and is translated when it is returned (src/mediation_api/texts/README.md): `values` are
    those of its placeholders.
    """

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, detail: str | None = None, **values: object) -> None:
        self.sentence = detail or self.detail
        self.values = values
        super().__init__(self.sentence.format_map(values))


class NotFound(Refusal):
    code = "not-found"
    detail = "There is nothing at this address that you may see."


class NotPermitted(Refusal):
    code = "not-permitted"
    detail = "Your role does not allow this operation."


class OfficeFilter(NotPermitted):
    code = "office-filter"
    detail = "You may not filter by this: it uses data that you do not see."


class ScopeMissing(NotPermitted):
    """`scope` is the one that the token would have to name; None if any scope of this service would do."""

    code = "insufficient-scope"
    detail = "Your token is limited to scopes that do not include this operation's."

    def __init__(self, scope: str | None) -> None:
        super().__init__()
        self.scope = scope


class ScopeUnknown(NotPermitted):
    code = "unknown-scope"
    detail = "Your token names a scope of this service that does not exist. Its issuer has to correct it."


class Unauthenticated(Refusal):
    """`fault` says for the log what is wrong with the token. The caller is told the code alone."""

    code = "unauthenticated"
    detail = "A valid bearer token is needed."

    def __init__(self, fault: str | None = None) -> None:
        super().__init__()
        self.fault = fault


class TokenExpired(Unauthenticated):
    code = "token-expired"
    detail = "The token has expired; ask for a new one."


class TokenRevoked(Unauthenticated):
    code = "token-revoked"
    detail = (
        "The access code that this token was given for is no longer valid. Exchange the current code, or ask staff."
    )


class AccessCodeInvalid(Unauthenticated):
    code = "access-code-invalid"
    detail = "This access code is not valid. Staff can issue a new one."


FieldRule: TypeAlias = Literal[
    "after-start",
    "category-not-configured",
    "complainants-only",
    "in-the-future",
    "in-the-past",
    "integration-only",
    "no-template",
    "not-before-request",
    "not-before-starts-on",
    "not-expected",
    "not-for-director",
    "not-your-channel",
    "officers-only",
    "only-with-name",
    "pause-too-long",
    "required",
    "required-for-interpreter",
    "required-in-person",
    "required-for-video",
    "required-off-hours",
    "required-with-override",
    "resolution-only",
    "session-too-long",
    "session-too-short",
    "staff-only",
    "unknown-mediator",
    "url-not-allowed",
]
"""Every rule that a single field can break. The contract lists them, and mypy accepts no other."""


class Invalid(Refusal):
    """A field is well-typed but breaks a rule of its own. `pointer` is a JSON pointer into the body."""

    code = "validation-failed"
    detail = "A field breaks a rule."

    def __init__(self, pointer: str, rule: FieldRule, detail: str, **values: object) -> None:
        super().__init__(detail, **values)
        self.pointer = pointer
        self.rule = rule


class Conflict(Refusal):
    """The request is well-formed, and the rules of mediation or the state of the case refuse it."""


class CaseNotOpen(Conflict):
    code = "case-closed"
    detail = "This case is closed."


class CaseAlreadyOpen(Conflict):
    code = "case-already-open"
    detail = "This complaint already has an open case."


class StateConflict(Conflict):
    code = "state-conflict"
    detail = "This cannot be done in the present state."


class NotPrintable(Conflict):
    """Unlike other refusals it has something of a value: the character, so that somebody can find the font."""

    code = "not-printable"
    detail = "No font has the character {character} ({code_points})."


class DocumentTooLong(Conflict):
    code = "document-too-long"
    detail = "Printed, this would have more than {pages} pages."


@dataclass(frozen=True, slots=True)
class Missing:
    """One condition of a gate that is not met.

    `subject` is the party, the attendee or the mediator that it concerns. `values` are those of the placeholders of its
    sentence, and distinguish conditions of the same code: a language, a role, an approver.
    """

    code: str
    subject: UUID | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The condition in English, with placeholders for `values`."""
        return CONDITIONS[self.code]


CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        "case-closed": "The case is closed.",
        "screening-missing": "The case has not been screened.",
        "screening-outdated": "An answer that screening depends on has changed: the case must be screened again.",
        "complainant-missing": "The complaint names no complainant.",
        "officer-missing": "The complaint names no officer.",
        "consent-missing": "This party has not agreed.",
        "guardian-missing": "No guardian is on file for this minor.",
        "approval-missing": "An approval that the city requires is missing ({approver}).",
        "mediator-missing": "No mediator has accepted the case.",
        "session-missing": "No session is scheduled.",
        "complainant-absent": "No complainant is in the room.",
        "officer-absent": "No officer is in the room.",
        "mediator-absent": "The mediator is not in the room.",
        "guardian-absent": "The guardian of this minor is not in the room.",
        "interpreter-missing": "No confirmed interpreter for this party is in the room ({language}).",
        "agreement-missing": "There is no confidentiality agreement to sign.",
        "signature-missing": "This person has not signed the confidentiality agreement ({role}).",
        "contact-attempts-missing": "Too few attempts to reach this party are recorded ({counted} of {needed}).",
        "contact-channels-missing": "Too few channels were tried to reach this party ({counted} of {needed}).",
        "contact-days-missing": (
            "Too few days lie between the first and the last attempt to reach this party ({counted} of {needed})."
        ),
        "part-absent": "No open part has both of its people in the room.",
        "completed-session-missing": "No completed session had both people of an open part in it.",
        "resolution-missing": "There is no resolution agreement.",
        "resolution-unsigned": "This person has not signed the resolution agreement ({role}).",
    }
)
"""Every condition of a gate. The code is stable; the sentence may change."""


class ConditionsMissing(Conflict):
    """A gate is shut. The readiness of the case returns the same list beforehand."""

    code = "conditions-missing"
    detail = "Something is still missing; see the list."

    def __init__(self, missing: tuple[Missing, ...]) -> None:
        super().__init__()
        self.missing = missing


class SessionInProgress(Conflict):
    code = "session-in-progress"
    detail = "A session is under way. Adjourn it first."


class IdentityFixed(Conflict):
    code = "identity-fixed"
    detail = (
        "This person was already asked, and who it is cannot be corrected. Remove the wrong party and add the right "
        "one. A name that is misspelt, or was changed by law, is corrected with a reason for it."
    )


class SubjectFixed(Conflict):
    code = "subject-fixed"
    detail = (
        "A case was already proposed to this mediator, and who it is cannot be corrected. Take the entry off the "
        "active roster and add the right one."
    )


class PartyAlreadyRemoved(Conflict):
    code = "party-removed"
    detail = "This party was removed from the complaint."


class PartAlreadyMediated(Conflict):
    code = "part-mediated"
    detail = "A part of this party was mediated, and stays closed."


class IdentityNotBound(Conflict):
    code = "identity-not-bound"
    detail = "No answer has bound this party to a token subject, so there is nothing to release."


class NotAsked(Conflict):
    code = "not-asked"
    detail = "This party has not been asked yet, so there is no answer to give."


class AlreadyAnswered(Conflict):
    code = "already-answered"
    detail = "This party has already answered in this case. To leave, withdraw."


class PartyLeft(Conflict):
    code = "party-left"
    detail = "This party no longer takes part in the case."


class DisclosureOutdated(Conflict):
    code = "disclosure-outdated"
    detail = "This is not the hash of a current disclosure. Show the party the current text, then ask again."


class GuardianMissing(Conflict):
    code = "guardian-missing"
    detail = "A minor agrees together with a guardian, whose consent the office must have on record."


class GuardianAgreed(Conflict):
    code = "guardian-already-agreed"
    detail = "It is on record already that this guardian agrees."


class NotAMinor(Conflict):
    code = "not-a-minor"
    detail = "This party is no minor, and answers alone."


class NotInSession(Conflict):
    code = "not-in-session"
    detail = "A mediator can record a withdrawal only during a session."


class DirectorRequired(Conflict):
    code = "director-required"
    detail = "Only a director may decide this."


class AlreadyAttested(Conflict):
    code = "already-attested"
    detail = "It is on record already that the notes were destroyed."


class UnderLegalHold(Conflict):
    code = "under-legal-hold"
    detail = "The complaint is under a legal hold: none of its data is erased."


class DataErased(Conflict):
    code = "data-erased"
    detail = "This was erased, and is not stored again."


class SecondPersonRequired(Conflict):
    code = "second-person-required"
    detail = "This takes two people: the one who proposed it must not decide it."


class PartyAlreadyListed(Conflict):
    code = "party-already-listed"
    detail = "This officer is already a party to the complaint."


class ComplaintClosed(Conflict):
    code = "complaint-closed"
    detail = "This complaint was closed by mediation."


class ExternalReferenceTaken(Conflict):
    code = "external-reference-taken"
    detail = "A complaint with this reference of yours has already been filed."


class MediatorInactive(Conflict):
    code = "mediator-inactive"
    detail = "This mediator is not active on the roster."


class MediatorConflicted(Conflict):
    code = "mediator-conflicted"
    detail = "This mediator declared a conflict in this case, or withdrew from it."


class MediatorIsParty(Conflict):
    code = "mediator-is-party"
    detail = "This mediator is a party of the complaint under another role. Nobody mediates a case of their own."


class MediatorListed(Conflict):
    code = "mediator-already-listed"
    detail = "Another entry of the roster has this employee number: one person, one entry."


class MediatorAssigned(Conflict):
    code = "mediator-assigned"
    detail = "The case has a mediator. That mediator must withdraw before another is proposed."


class MediatorTaken(Conflict):
    code = "mediator-taken"
    detail = "The mediator has another session at that time."


class OfficerTaken(Conflict):
    """The officer is not named, so that scheduling reveals no other case of theirs."""

    code = "officer-taken"
    detail = "An officer of this case has another session at that time."


class SessionTooEarly(Conflict):
    code = "session-too-early"
    detail = "The session is scheduled for a later hour. Reschedule it to the hour at which it is held, then start it."


class ResolutionSigned(Conflict):
    code = "resolution-signed"
    detail = "Somebody has signed a resolution agreement, so nobody lapses as unreachable any more."


class LimitReached(Conflict):
    """Of what one complaint, case or integration may have only so many of: `MOST_PARTIES` and others in `values.py`."""

    code = "limit-reached"
    detail = "One complaint, case or integration may have no more of these."


class AttemptsExhausted(Conflict):
    code = "attempts-exhausted"
    detail = "Mediation was attempted as often as the city allows for one complaint."


class AttemptTooSoon(Conflict):
    code = "attempt-too-soon"
    detail = "The latest attempt closed too recently for another one."


class CategoryNotDisclosed(Conflict):
    code = "category-not-disclosed"
    detail = "The people of this case were not told of this exception to confidentiality, so it cannot be recorded."


class SubjectTaken(Conflict):
    code = "subject-taken"
    detail = "Another mediator on the roster already signs in with this subject."


class InterpreterUnsuitable(Conflict):
    code = "interpreter-unsuitable"
    detail = (
        "An interpreter must be qualified, and neither a relative or friend of a party nor with the police. "
        "The office provides a qualified one free of charge."
    )


class TextChanged(Conflict):
    code = "text-changed"
    detail = "This is not the hash of the agreement's text. Show the text again, then sign."


class AgreementNotCurrent(Conflict):
    code = "agreement-superseded"
    detail = "A later text has replaced this agreement; signatures on it no longer count."


class AlreadySigned(Conflict):
    code = "already-signed"
    detail = "This person has already signed this text."


class AgreementReached(Conflict):
    code = "agreement-reached"
    detail = "Everybody of a part has signed the resolution agreement: it stands, and an agreement was reached."


class NotASigner(Conflict):
    code = "not-a-signer"
    detail = "This person is not among those who sign this agreement."


class AbsencesTooFew(Conflict):
    code = "absences-too-few"
    detail = "Nobody has been absent without excuse often enough to close the case for that reason."


class AbsenceAlreadyRecorded(Conflict):
    code = "absence-already-recorded"
    detail = "This party's absence from this session is on record already."


class OfficerHasNoCode(Conflict):
    code = "officer-has-no-code"
    detail = "Access codes are for members of the public; an officer signs in with the city's account."
