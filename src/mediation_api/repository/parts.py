"""Reading parts: the disposition of each pair of a complainant and an officer. The events of the case write them."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import and_, case, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on

from mediation_api.database import tables as t
from mediation_api.database.access_scope import is_part_of, may_see_disposition, own_participation
from mediation_api.database.nesting import AnyColumn, nested
from mediation_api.domain.access import Role
from mediation_api.domain.values import Disposition, SeatRole, SessionState, Side

PART_COLUMNS: Final[Mapping[str, AnyColumn]] = {
    name: t.parts.c[name] for name in ("complainant_id", "officer_id", "disposition")
}
"""The columns that every audience sees of a part."""
PART_ORDER: Final = tuple_(t.parts.c.complainant_id, t.parts.c.officer_id)


def session_completed() -> AnyColumn:
    """Return whether both parties of an open part were present at a completed session; NULL if it is not open."""
    seats = t.attendances.c
    together = (
        select(t.sessions.c.id)
        .join(t.attendances, seats.session_id == t.sessions.c.id)
        .where(
            t.sessions.c.case_id == t.parts.c.case_id,
            t.sessions.c.state == SessionState.COMPLETED,
            seats.seat_role == SeatRole.PARTY,
            seats.seat_id.in_((t.parts.c.complainant_id, t.parts.c.officer_id)),
            seats.present,
        )
        .group_by(t.sessions.c.id)
        .having(func.count() == 2)  # noqa: PLR2004 - both
        .correlate(t.parts)
    )
    return case((t.parts.c.disposition == Disposition.IN_MEDIATION, together.exists()))


def parts_of_complaint() -> AnyColumn:
    """Return all pairs of a complainant and an officer in a row of `complaints`, each with its latest part if any."""
    complainant, officer = t.parties.alias("complainant"), t.parties.alias("other_side")
    latest = (
        select(*t.parts.c, t.cases.c.state, session_completed().label("session_completed"))
        .join(t.cases, t.cases.c.id == t.parts.c.case_id)
        .where(t.parts.c.complainant_id == complainant.c.id, t.parts.c.officer_id == officer.c.id)
        .order_by(t.cases.c.attempt.desc())
        .limit(1)
        .correlate(complainant, officer)
        .lateral("latest")
    )
    pairs = (
        select(
            complainant.c.id.label("complainant_id"),
            officer.c.id.label("officer_id"),
            func.coalesce(latest.c.disposition, Disposition.RECEIVED).label("disposition"),
            latest.c.agreement_reached,
            latest.c.session_completed,
            latest.c.case_id,
            latest.c.state,
        )
        .select_from(complainant)
        .join(
            officer,
            and_(
                officer.c.complaint_id == complainant.c.complaint_id,
                officer.c.side == Side.OFFICER,
                officer.c.removed_at.is_(None),
            ),
        )
        .outerjoin(latest, literal(True))  # noqa: FBT003 - ON TRUE
        .where(
            complainant.c.complaint_id == t.complaints.c.id,
            complainant.c.side == Side.COMPLAINANT,
            complainant.c.removed_at.is_(None),
        )
        .correlate(t.complaints)
        .lateral("pairs")
    )
    return nested(
        {column.name: column for column in pairs.c},
        literal(True),  # noqa: FBT003 - all of them
        order_by=tuple_(pairs.c.complainant_id, pairs.c.officer_id),
    ).label("parts")


def own_parts_of_complaint(role: Role) -> AnyColumn:
    """Return the caller's latest part with each party of the other side, in a row of `complaints`.

    Parts whose disposition the caller may not see are left out.
    """
    own = own_participation(role).subquery("own")
    latest = (
        select(
            t.parts.c.complainant_id,
            t.parts.c.officer_id,
            t.parts.c.disposition,
            t.cases.c.state,
        )
        .join(t.cases, t.cases.c.id == t.parts.c.case_id)
        .join(own, is_part_of(own))
        .where(t.cases.c.complaint_id == t.complaints.c.id, may_see_disposition(own))
        .ext(distinct_on(t.parts.c.complainant_id, t.parts.c.officer_id))
        .order_by(t.parts.c.complainant_id, t.parts.c.officer_id, t.cases.c.attempt.desc())
        .correlate(t.complaints)
        .lateral("latest")
    )
    return nested(
        {column.name: column for column in latest.c},
        literal(True),  # noqa: FBT003 - all of them
        order_by=tuple_(latest.c.complainant_id, latest.c.officer_id),
    ).label("parts")
