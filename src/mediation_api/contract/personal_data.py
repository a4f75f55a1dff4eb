"""Which kind of personal data each field of requests and responses contains, in one table by field name.

The contract lists the kinds for each operation (`x-personal-data`), so that developers of clients know what they
handle. A test fails for a field that is neither here nor in its list of fields without personal data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from mediation_api.domain.retention import SCHEDULE
from mediation_api.domain.values import DataKind


class PersonalDataKind(StrEnum):
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
    """Why a kind of data is stored, and until when. `retention` is its kind in the schedule (docs/retention.md)."""

    why: str
    retention: DataKind
    until: str


def _held(as_: DataKind) -> Holding:
    rule = SCHEDULE[as_]
    if rule.start is None:
        return Holding(rule.why, as_, rule.until)
    return Holding(rule.why, as_, f"{rule.days} days after {rule.start}, unless the city says otherwise. {rule.until}")


HOLDINGS: Mapping[PersonalDataKind, Holding] = MappingProxyType(
    {
        PersonalDataKind.IDENTITY: _held(DataKind.IDENTITY),
        PersonalDataKind.CONTACT: _held(DataKind.CONTACT),
        PersonalDataKind.NEEDS: _held(DataKind.NEEDS),
        PersonalDataKind.ACCOUNT: _held(DataKind.ACCOUNT),
        PersonalDataKind.TAKING_PART: _held(DataKind.RECORD),
        PersonalDataKind.AGREEMENT: _held(DataKind.RESOLUTION_TERMS),
        PersonalDataKind.MANDATORY_REPORT: _held(DataKind.MANDATORY_REPORT),
        PersonalDataKind.CREDENTIAL: _held(DataKind.CREDENTIAL),
        PersonalDataKind.STAFF: _held(DataKind.ROSTER),
    }
)

_FIELDS: Mapping[PersonalDataKind, tuple[str, ...]] = MappingProxyType(
    {
        PersonalDataKind.IDENTITY: (
            "name",
            "employee_number",
            "unit",
            "relation",
            "minor",
            "guardian",
            "signer_name",
            "identity_bound",
            "name_correction_reason",
        ),
        PersonalDataKind.CONTACT: (
            "phone",
            "email",
            "email_allowed",
            "postal_address",
            "safe_contact",
            "place",
            "link",
        ),
        PersonalDataKind.NEEDS: ("language", "interpreter_language", "accommodations"),
        PersonalDataKind.ACCOUNT: (
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
        PersonalDataKind.TAKING_PART: (
            "party_id",
            "complainant_id",
            "officer_id",
            "for_party_id",
            "signer_id",
            "decision",
            "standing",
            "interested_in_mediation",
            "guardian_consent_id",
            "disclosure_to_answer",
            "unsigned_agreement_ids",
            "asked_at",
            "left_at",
            "signed_at",
            "absent",
            "stands",
            "voided_at",
            "void_reason",
            "removed_at",
            "removal_reason",
            "RemovalIn.reason",
            "present",
            "attendance",
            "absences",
            "excused",
            "unexcused_absences",
            "data",
            "CaseForPartyOut.state",
            "filed_by",
            "ConsentIn.channel",
            "ConsentOut.channel",
            "GuardianConsentIn.channel",
            "GuardianConsentOut.channel",
            "WithdrawalIn.channel",
            "WithdrawalOut.channel",
            "ContactAttemptIn.channel",
            "ContactAttemptOut.channel",
            "attempted_at",
            "result",
            "unchecked_officer_ids",
        ),
        PersonalDataKind.AGREEMENT: ("terms", "text", "signatures"),
        PersonalDataKind.MANDATORY_REPORT: ("category", "recipient", "agency", "legal_basis", "disclosed_at"),
        PersonalDataKind.CREDENTIAL: ("access_code", "access_token", "address"),
        PersonalDataKind.STAFF: (
            "by",
            "by_name",
            "coordinator",
            "coordinator_name",
            "proposed_by_name",
            "decided_by_name",
            "requested_by_name",
            "placed_by_name",
            "lifted_by_name",
            "given_by",
            "given_on",
            "subject",
            "mediator_id",
            "mediator_name",
            "conflicts",
            "knows_a_party",
            "took_part_before",
            "has_an_interest",
            "proposed_by",
            "decided_by",
            "requested_by",
            "placed_by",
            "lifted_by",
        ),
    }
)

FIELDS: Mapping[str, PersonalDataKind | None] = MappingProxyType(
    {
        **{field: kind for kind, fields in _FIELDS.items() for field in fields},
        "MissingCondition.subject_id": PersonalDataKind.TAKING_PART,
        # Counts of a year, none of them below five.
        "ReportsOfCategoryOut.category": None,
        # Units of the department, and texts of the office that are the same for everybody.
        "ApprovalIn.unit": None,
        "ApprovalOut.unit": None,
        "DisclosureOut.text": None,
        "DisclosureOut.language": None,
        # The office and its own lists.
        "MeForOfficeOut.name": PersonalDataKind.STAFF,
        "MeForMediatorOut.name": PersonalDataKind.STAFF,
        "OfficeOut.name": None,
        "OfficeOut.phone": None,
        "TextLanguageOut.name": None,
        "TextLanguageOut.language": None,
        "LabelOut.language": None,
        "LabelOut.text": None,
    }
)
"""The kind of each field, by name; `Model.name` takes precedence. None: no personal data."""


def personal_data_kind(model: str, field: str) -> PersonalDataKind | None:
    """Return the kind of personal data in a field of a model; None if there is none."""
    return FIELDS.get(f"{model}.{field}", FIELDS.get(field))
