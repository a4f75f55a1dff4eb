"""The second wall: what the service may do, and the rows and columns that a party may be shown.

Three kinds of rows are told apart: a party's own, those of the case it is in, and, once both sides have agreed, what
those who take part may see of each other. `enter_wall` finds out which these are, sets them as the transaction's
context, and becomes `mediation_party`; the policies look at this context and at nothing else.

Revises: 20261125_0350
Created: 2026-11-25 04:00:00+00:00
"""

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

revision: str = "20261125_0400"
down_revision: str | None = "20261125_0350"
branch_labels: str | None = None
depends_on: str | None = None

SERVICE = {
    "absences": "SELECT, INSERT",
    "access_codes": "SELECT, INSERT, UPDATE (replaced_at)",
    "agreements": "SELECT, INSERT, UPDATE (superseded_at)",
    "approvals": "SELECT, INSERT",
    "assignments": "SELECT, INSERT, UPDATE (state, conflicts, answered_at)",
    "attendances": "SELECT, INSERT",
    "attendees": "SELECT, INSERT, UPDATE (confirmed_at)",
    "cases": "SELECT, INSERT, UPDATE (state, coordinator, closed_at, agreement_reached, lapse_reason, version)",
    "chain_heads": "SELECT, INSERT, UPDATE (sequence, link)",
    "complaints": "SELECT, INSERT, UPDATE (narrative, incident_on, incident_place, precinct, allegations, crime_alleged, serious_injury, litigation_pending, pending_case_filed_on, officer_is_witness, rank_initiated)",
    "consents": "SELECT, INSERT",
    "facts": "SELECT, INSERT",
    "idempotency_keys": "SELECT, INSERT, UPDATE (status, location, body), DELETE",
    "mediators": "SELECT, INSERT, UPDATE (name, subject, email, phone, languages, active)",
    "participants": "SELECT, INSERT, UPDATE (standing, asked_at, left_at)",
    "parties": "SELECT, INSERT, UPDATE (name, employee_number, unit, phone, email, postal_address, safe_contact, language, interpreter_language, accommodations, minor, guardian_name, guardian_relation, guardian_phone, guardian_email)",
    "pauses": "SELECT, INSERT",
    "readings": "SELECT, INSERT",
    "screenings": "SELECT, INSERT",
    "sessions": "SELECT, INSERT, UPDATE (state, during, mode, place, end_reason, started_at, finished_at)",
    "signatures": "SELECT, INSERT",
    "withdrawals": "SELECT, INSERT",
}
"""What the service may do to each table that carries people's data: write what its commands write, delete old answers."""


def _list(name: str) -> str:
    """One list of the context; none, where nobody has entered or the transaction is over."""
    return f"ANY (nullif(current_setting('mediation.{name}', true), '')::uuid[])"


PARTIES, COMPLAINTS, CASES, SHARED = (_list(name) for name in ("parties", "complaints", "cases", "shared"))

SHOWN_TO_ITSELF = "'party.corrected', 'access_code.issued', 'party.asked', 'consent.given', 'party.withdrew'"
SHOWN_TO_ALL = (
    "'case.opened', 'case.closed', 'session.scheduled', 'session.rescheduled', 'session.cancelled', "
    "'session.started', 'session.adjourned', 'session.completed', 'session.ended', 'agreement.made'"
)

PARTY = {
    "complaints": (
        "id, reference, filed_at, incident_on, allegations, interested_in_mediation",
        f"id = {COMPLAINTS}",
    ),
    "parties": (
        (
            "id, complaint_id, side, name, employee_number, unit, phone, email, postal_address, safe_contact, language, "
            "interpreter_language, accommodations, minor, guardian_name, guardian_relation, guardian_phone, "
            "guardian_email, added_at"
        ),
        # Not "= ANY": the planner would take the rows of an officer for fewer than they are, and walk them for each case.
        f"array_position({PARTIES.removeprefix('ANY ')}, id) IS NOT NULL",
    ),
    "cases": (
        "id, complaint_id, attempt, state, requested_on, due_on, opened_at, closed_at",
        f"id = {CASES}",
    ),
    "participants": (
        "case_id, party_id, side, standing, joined_at, asked_at, left_at",
        f"party_id = {PARTIES} AND case_id = {CASES}",
    ),
    # The others, through the parents of those two tables: fewer columns, and policies of their own.
    "fellow_participants": (
        "case_id, party_id, side, standing, joined_at",
        f"case_id = {SHARED} AND standing = 'agreed'",
    ),
    "fellow_parties": (
        "id, side, name",
        "EXISTS (SELECT FROM fellow_participants f WHERE f.party_id = fellow_parties.id)",
    ),
    "consents": (
        "id, case_id, party_id, decision, disclosure_sha256, channel, guardian_agreed, at",
        f"party_id = {PARTIES} AND case_id = {CASES}",
    ),
    "withdrawals": (
        "id, case_id, party_id, channel, at",
        f"party_id = {PARTIES} AND case_id = {CASES}",
    ),
    "sessions": (
        "id, case_id, mediator_id, state, during, mode, place",
        f"case_id = {SHARED}",
    ),
    "assignments": (
        "case_id, mediator_id, state",
        f"case_id = {SHARED} AND state = 'accepted'",
    ),
    "mediators": (
        "id, name",
        "EXISTS (SELECT FROM assignments a WHERE a.mediator_id = mediators.id)",
    ),
    "attendees": (
        "id, case_id, role, language, for_party_id, added_at, confirmed_at",
        f"case_id = {SHARED} AND (for_party_id IS NULL OR for_party_id = {PARTIES})",
    ),
    "signatures": (
        "id, agreement_id, signer_role, signer_id, at",
        f"signer_role IN ('party', 'guardian') AND signer_id = {PARTIES}",
    ),
    # Who signed keeps the text that binds them, also after leaving.
    "agreements": (
        (
            "id, case_id, kind, number, template_version, languages, text, sha256, terms_confidential, made_at, "
            "superseded_at"
        ),
        (
            f"case_id = {SHARED} OR EXISTS "
            "(SELECT FROM signatures s WHERE s.agreement_id = agreements.id AND s.signer_role = 'party')"
        ),
    ),
    # From when it joined until it left, and of the close only that: repository/timeline.py says why.
    "facts": (
        "position, id, kind, complaint_id, case_id, party_id, at",
        f"""
        (kind IN ({SHOWN_TO_ITSELF}) AND party_id = {PARTIES})
        OR (kind IN ({SHOWN_TO_ALL}) AND case_id = {CASES} AND EXISTS (
            SELECT FROM participants own JOIN cases c ON c.id = own.case_id
            WHERE own.case_id = facts.case_id
            AND (facts.kind = 'case.opened'
                OR (facts.at > own.joined_at AND (own.left_at IS NULL OR facts.at < own.left_at)))
            AND (facts.kind = 'case.closed' OR c.closed_at IS NULL OR facts.at < c.closed_at)))
        """,
    ),
    # Of its case and of itself; a complainant, also of the complaint. repository/readings.py says why not all of it.
    "readings": (
        "position, at, complaint_id, case_id, party_id, by_role",
        """
        EXISTS (
            SELECT FROM participants own JOIN cases c ON c.id = own.case_id
            WHERE c.complaint_id = readings.complaint_id AND readings.at >= c.opened_at
            AND (readings.case_id = c.id OR readings.party_id = own.party_id
                OR (readings.case_id IS NULL AND readings.party_id IS NULL AND own.side = 'complainant'))
            AND (readings.at < opened_until(own.case_id, own.party_id)
                OR (readings.case_id = c.id AND readings.at > c.closed_at AND own.left_at IS NULL)))
        """,
    ),
}
"""For each table that a party is shown something of: the columns, and the condition on the rows."""

ENTER_WALL = """
CREATE FUNCTION enter_wall(complainant uuid, officer text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own_parties uuid[];
    own_complaints uuid[];
    own_cases uuid[];
    shared_cases uuid[];
BEGIN
    SELECT array_agg(p.id), array_agg(p.complaint_id) INTO own_parties, own_complaints
    FROM parties p
    WHERE (p.id = complainant AND p.side = 'complainant')
    OR (p.employee_number = officer AND p.side = 'officer' AND EXISTS (
        SELECT FROM participants asked WHERE asked.party_id = p.id AND asked.asked_at IS NOT NULL));
    SELECT
        array_agg(c.id),
        array_agg(c.id) FILTER (WHERE own.standing = 'agreed'
            AND c.state IN ('ready', 'scheduled', 'in_session', 'concluded', 'mediated'))
        INTO own_cases, shared_cases
    FROM cases c
    LEFT JOIN participants own ON own.case_id = c.id AND own.party_id = ANY (own_parties)
    WHERE c.complaint_id = ANY (own_complaints) AND (officer IS NULL OR own.asked_at IS NOT NULL);
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.parties', coalesce(own_parties, '{}')::text, true),
        set_config('mediation.complaints', coalesce(own_complaints, '{}')::text, true),
        set_config('mediation.cases', coalesce(own_cases, '{}')::text, true),
        set_config('mediation.shared', coalesce(shared_cases, '{}')::text, true);
END
$$
"""
"""It runs with the rights of its caller: nobody but the service can read what it reads."""


KEEP_ANSWER = """
CREATE FUNCTION keep_answer(
    its_caller text, its_operation text, its_key text, its_status integer, its_location text, its_body bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', 'none', true);
    UPDATE idempotency_keys SET status = its_status, location = its_location, body = its_body
    WHERE caller = its_caller AND operation = its_operation AND key_sha256 = its_key;
END
$$
"""
"""The last that a command does: it steps back from behind the wall, if it is there, and keeps what was answered."""

OPENED_UNTIL = """
CREATE FUNCTION opened_until(of_case uuid, party uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('mediation.readings', true), '')::jsonb ->> (of_case || ' ' || party))::timestamptz
$$
"""
"""Before which instant readings are shown to a party of a case; none are before `open_readings` has found out."""

OPEN_READINGS = f"""
CREATE FUNCTION open_readings(of_case uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SELECT jsonb_object_agg(own.case_id || ' ' || own.party_id, CASE
        WHEN c.state = 'mediated' AND own.standing = 'agreed' THEN 'infinity'
        ELSE coalesce(greatest(
            (SELECT min(asked.asked_at) FROM participants asked WHERE asked.case_id = c.id),
            (SELECT max(ready.at) FROM facts ready
             WHERE ready.case_id = c.id AND ready.kind = 'case.moved' AND ready.data ->> 'target' = 'ready'
             AND ready.at > own.joined_at AND (own.left_at IS NULL OR ready.at < own.left_at))
        ), 'infinity')
        END)
        INTO found
    FROM participants own JOIN cases c ON c.id = own.case_id
    WHERE c.id = of_case AND c.id = {CASES} AND own.party_id = {PARTIES};
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.readings', coalesce(found, '{{}}'), true);
END
$$
"""  # noqa: S608 - of the two lists above
"""For who is within the wall and has stepped back to the service: it finds out what hangs on facts that the party is not
shown, and goes back. One case at a time, because an officer may have thousands."""


def upgrade() -> None:
    _require_roles()
    for role in ("mediation_service", "mediation_party"):
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    op.execute("GRANT SELECT ON alembic_version TO mediation_service")
    op.execute("GRANT SELECT, INSERT ON disclosures TO mediation_service")
    op.execute("GRANT SELECT ON disclosures TO mediation_party")
    op.execute("GRANT USAGE ON SEQUENCE complaint_reference TO mediation_service")
    op.create_table(
        "fellow_parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
    )
    op.execute("ALTER TABLE parties INHERIT fellow_parties")
    op.create_table(
        "fellow_participants",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute("ALTER TABLE participants INHERIT fellow_participants")
    for table in sorted(SERVICE.keys() | PARTY.keys()):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table, privileges in SERVICE.items():
        op.execute(f"GRANT {privileges} ON {table} TO mediation_service")
        op.execute(f"CREATE POLICY service ON {table} TO mediation_service USING (true) WITH CHECK (true)")
    op.execute(OPENED_UNTIL)
    for table, (columns, rows) in PARTY.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO mediation_party")
        op.execute(f"CREATE POLICY party ON {table} FOR SELECT TO mediation_party USING ({rows})")
    op.execute(ENTER_WALL)
    op.execute(OPEN_READINGS)
    for function in ("enter_wall(uuid, text)", "open_readings(uuid)"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO mediation_service")
    op.execute(KEEP_ANSWER)
    op.execute("REVOKE ALL ON FUNCTION keep_answer(text, text, text, integer, text, bytea) FROM PUBLIC")
    op.execute(
        "GRANT EXECUTE ON FUNCTION keep_answer(text, text, text, integer, text, bytea) "
        "TO mediation_service, mediation_party"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION open_readings(uuid)")
    op.execute("DROP FUNCTION enter_wall(uuid, text)")
    op.execute("DROP FUNCTION keep_answer(text, text, text, integer, text, bytea)")
    for table in sorted(PARTY):
        op.execute(f"DROP POLICY party ON {table}")
    op.execute("DROP FUNCTION opened_until(uuid, uuid)")
    op.execute("ALTER TABLE parties NO INHERIT fellow_parties")
    op.execute("ALTER TABLE participants NO INHERIT fellow_participants")
    op.drop_table("fellow_parties")
    op.drop_table("fellow_participants")
    for table in SERVICE:
        op.execute(f"DROP POLICY service ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for role in ("mediation_service", "mediation_party"):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")


def _require_roles() -> None:
    if context.is_offline_mode():
        return
    wanted = "SELECT count(*) FROM pg_roles WHERE rolname IN ('mediation_service', 'mediation_party')"
    if op.get_bind().scalar(sa.text(wanted)) != 2:  # noqa: PLR2004 - those two
        raise CommandError("The roles of the service do not exist yet: `mediation-api roles` prints what makes them.")
