"""Whose data, and of which kind, stands in what the service is sent and answers: one table over the fields' names.

The contract says it of each operation (`x-personal-data`, `x-retention`), so that who builds on the service knows what
they handle. A field that is in neither this table nor the test's list of plain ones fails the build.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """A kind of personal data."""

    IDENTITY = "identity"
    CONTACT = "contact"
    NEEDS = "needs"
    ACCOUNT = "account"
    TAKING_PART = "taking_part"
    AGREEMENT = "agreement"
    MANDATORY_REPORT = "mandatory_report"
    CREDENTIAL = "credential"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Holding:
    """Why a kind of data is held, and until when: `retention` is the rule's name, `until` the rule in words."""

    why: str
    retention: str
    until: str


_CITY = ("city-schedule", "The city's records schedule says how long. The service deletes nothing by itself.")

HOLDINGS: Mapping[Kind, Holding] = MappingProxyType(
    {
        Kind.IDENTITY: Holding("To know who takes part, and that it is this person who answers and signs.", *_CITY),
        Kind.CONTACT: Holding("To reach people, in the way that is safe for them.", *_CITY),
        Kind.NEEDS: Holding("To provide what people need in order to take part.", *_CITY),
        Kind.ACCOUNT: Holding("To see whether the complaint is eligible, and what it is about.", *_CITY),
        Kind.TAKING_PART: Holding("To prove that everybody took part, or left, by their own will.", *_CITY),
        Kind.AGREEMENT: Holding("To show what was signed, and that it is unchanged.", *_CITY),
        Kind.MANDATORY_REPORT: Holding("To show that a duty to report was met, and nothing of what was said.", *_CITY),
        Kind.CREDENTIAL: Holding(
            "To let a member of the public speak for themselves.",
            "until-replaced",
            "A token for minutes, an access code until another is issued; only a keyed hash of the code is stored.",
        ),
        Kind.STAFF: Holding("To know who of the office and of the roster is in charge.", *_CITY),
    }
)

_FIELDS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.IDENTITY: ("name", "employee_number", "unit", "relation", "minor", "guardian"),
        Kind.CONTACT: ("phone", "email", "postal_address", "safe_contact"),
        Kind.NEEDS: ("language", "interpreter_language", "accommodations"),
        Kind.ACCOUNT: (
            "narrative",
            "incident_on",
            "incident_place",
            "precinct",
            "allegations",
            "crime_alleged",
            "serious_injury",
            "litigation_pending",
            "pending_case_filed_on",
            "officer_is_witness",
            "findings",
            "external_reference",
            "ScreeningIn.reason",
            "ScreeningOut.reason",
        ),
        Kind.TAKING_PART: (
            "party_id",
            "for_party_id",
            "signer_id",
            "decision",
            "standing",
            "interested_in_mediation",
            "guardian_agreed",
            "asked_at",
            "left_at",
            "signed_at",
            "present",
            "attendance",
            "absences",
            "excused",
            "unexcused_absences",
            "data",
            "place",
            "CaseForPartyOut.status",
            "ConsentIn.channel",
            "ConsentOut.channel",
            "WithdrawalIn.channel",
            "WithdrawalOut.channel",
        ),
        Kind.AGREEMENT: ("terms", "text", "signatures"),
        Kind.MANDATORY_REPORT: ("category", "recipient", "agency", "legal_basis", "disclosed_at"),
        Kind.CREDENTIAL: ("access_code", "access_token"),
        Kind.STAFF: (
            "by",
            "coordinator",
            "subject",
            "mediator_id",
            "mediator_name",
            "conflicts",
            "knows_a_party",
            "took_part_before",
            "has_an_interest",
            "proposed_by",
            "decided_by",
        ),
    }
)

FIELDS: Mapping[str, Kind | None] = MappingProxyType(
    {
        **{field: kind for kind, fields in _FIELDS.items() for field in fields},
        "MissingCondition.subject": Kind.TAKING_PART,
        # Of the department's own units, and texts of the office that are the same for everybody.
        "ApprovalIn.unit": None,
        "ApprovalOut.unit": None,
        "DisclosureOut.text": None,
        "DisclosureOut.language": None,
    }
)
"""The kind of each field, by its name; `Model.name` stands before a mere name. None: of nobody."""


def kind_of(model: str, field: str) -> Kind | None:
    """The kind of data that a field of a model holds; None where it tells of nobody."""
    return FIELDS.get(f"{model}.{field}", FIELDS.get(field))
