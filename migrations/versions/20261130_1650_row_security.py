"""The privileges of the service on each table, and the rows and columns that a party may read.

A party may read its own rows, rows of its cases and, once both sides have agreed, some columns of the other active
parties. `assume_party` computes the ids of these, stores them in transaction-local settings, and sets the role
`mediation_party`. The policies depend on nothing but these settings.

Revises: 20261130_1625
Created: 2026-11-30 16:40:00+00:00
"""

from alembic import op

from mediation_api.database.migrations import sql

revision: str = "20261130_1650"
down_revision: str | None = "20261130_1625"
branch_labels: str | None = None
depends_on: str | None = None

SERVICE = {
    "absences": "SELECT, INSERT",
    "access_codes": "SELECT, INSERT, UPDATE (ended_at)",
    "agreements": "SELECT, INSERT, UPDATE (text, superseded_at, purged_at, superseded_version)",
    "approvals": "SELECT, INSERT, UPDATE (given_by)",
    "assignments": "SELECT, INSERT, UPDATE (state, conflicts, answered_at, notes_destroyed_at)",
    "attendances": "SELECT, INSERT",
    "attendees": "SELECT, INSERT, UPDATE (name, confirmed_at)",
    "calendar_feeds": "SELECT, INSERT, UPDATE (token_digest, made_at, expires_at), DELETE",
    "cases": "SELECT, INSERT, UPDATE (state, coordinator, closed_at, agreement_reached, lapse_reason, screening_outdated, version, closed_version)",
    "audit_chain_heads": "SELECT, INSERT, UPDATE (sequence, link)",
    "change_feed": "SELECT, INSERT",
    "complaints": "SELECT, INSERT, UPDATE (narrative, incident_on, incident_place, precinct, allegations, crime_alleged, serious_injury, litigation_pending, pending_case_filed_on, officer_is_witness, rank_initiated)",
    "consents": "SELECT, INSERT",
    "contact_attempts": "SELECT, INSERT",
    "data_keys": "SELECT, INSERT, UPDATE (key_id, wrapped)",
    "erasures": "SELECT, INSERT, UPDATE (state, decided_at, decided_by, refusal)",
    "events": "SELECT, INSERT",
    "visible_participants": "SELECT",
    "visible_parties": "SELECT",
    "guardian_consents": "SELECT, INSERT",
    "idempotency_keys": "SELECT, INSERT, UPDATE (status, location, body, subjects), DELETE",
    "imports": "SELECT, INSERT, UPDATE (state, lines, done, filed, refused, already_there, ended_at), DELETE",
    "import_batches": "SELECT, INSERT, DELETE",
    "import_refusals": "SELECT, INSERT",
    "legal_holds": "SELECT, INSERT, UPDATE (lifted_at, lifted_by)",
    "mail_cursor": "SELECT, INSERT, UPDATE (number)",
    "mails": "SELECT, INSERT, UPDATE (state, attempts, smtp_code, due_at, claimed_until, finished_at), DELETE",
    "mandatory_reports": "SELECT, INSERT, UPDATE (state, decided_at, decided_by_role, decided_by, drop_reason)",
    "mediators": "SELECT, INSERT, UPDATE (name, subject, employee_number, employee_number_index, email, email_allowed, phone, languages, active)",
    "participants": "SELECT, INSERT, UPDATE (standing, asked_at, left_at, left_version)",
    "parties": "SELECT, INSERT, UPDATE (name, employee_number, employee_number_index, unit, phone, email, email_allowed, postal_address, safe_contact, language, interpreter_language, accommodations, minor, guardian_name, guardian_relation, guardian_phone, guardian_email, bound_subject, removed_at, removal_reason)",
    "parts": "SELECT, INSERT, UPDATE (disposition, agreement_reached, removed)",
    "pauses": "SELECT, INSERT",
    "access_log": "SELECT, INSERT, DELETE",
    "screenings": "SELECT, INSERT, UPDATE (reason)",
    "canaries": "SELECT, INSERT, UPDATE (value)",
    "session_officers": "SELECT, INSERT, UPDATE (during, live)",
    "sessions": "SELECT, INSERT, UPDATE (state, during, mode, place, link, off_hours_reason, end_reason, agreement_id, started_at, finished_at, revision)",
    "signatures": "SELECT, INSERT, UPDATE (signer_name)",
    "job_runs": "SELECT, INSERT, UPDATE (succeeded_at)",
    "attempt_counters": "SELECT, INSERT, UPDATE (hour, number), DELETE",
    "unnumbered_events": "SELECT, INSERT, DELETE",
    "voided_consents": "SELECT, INSERT",
    "staff_names": "SELECT, INSERT",
    "webhook_deliveries": "SELECT, INSERT, UPDATE (state, attempts, first_attempt_at, last_attempt_at, last_status, next_attempt_at), DELETE",
    "webhook_endpoints": "SELECT, INSERT, UPDATE (kinds, url, secret, former_secret, former_secret_until, state, expires_at, failures, next_attempt_at, lease, leased_until)",
    "withdrawals": "SELECT, INSERT",
}
"""The privileges of the service on each table with row security: those that its commands need, and no more."""


def _list(name: str) -> str:
    """Return a condition: an id is in one list of the settings. No id is if `assume_party` was not called.

    The subquery is evaluated once for each statement, not for each row. It is hashed, so that its length does not matter.
    """
    return f"IN (SELECT unnest(nullif(current_setting('mediation.{name}', true), '')::uuid[]))"


def _found(rows: str) -> str:
    """Return a condition: a subquery finds a row by the index of its own condition.

    `OFFSET 0` keeps the planner from reading the whole table into a hash table once, as it would while the table is
    small. The plans of parties are kept while it grows.
    """
    return f"EXISTS (SELECT FROM {rows} OFFSET 0)"


PARTIES, COMPLAINTS, CASES, SHARED, KNOWN = (
    _list(name) for name in ("parties", "complaints", "cases", "shared", "known")
)

VISIBLE_TO_ITSELF = (
    "'party.corrected', 'name.corrected', 'access_code.issued', 'party.asked', 'guardian.consented', "
    "'guardian_consent.voided', 'consent.given', 'consent.voided', 'party.withdrew'"
)
VISIBLE_TO_ALL = (
    "'case.opened', 'case.closed', 'session.scheduled', 'session.rescheduled', 'session.cancelled', "
    "'session.started', 'session.adjourned', 'session.completed', 'session.ended', 'agreement.made'"
)

PARTY = {
    # Those of its complaint and of its mediator. The policy of `assignments` applies to the subquery.
    "data_keys": (
        "id, key_id, wrapped",
        f"id {COMPLAINTS} OR {_found('assignments a WHERE a.mediator_id = data_keys.id')}",
    ),
    "complaints": (
        "id, reference, filed_at, incident_on, allegations, interested_in_mediation",
        f"id {COMPLAINTS}",
    ),
    "parties": (
        (
            "id, complaint_id, side, name, employee_number, employee_number_index, unit, phone, email, email_allowed, "
            "postal_address, safe_contact, language, interpreter_language, accommodations, minor, guardian_name, guardian_relation, guardian_phone, "
            "guardian_email, added_at, bound_subject, removed_at, removal_reason"
        ),
        f"id {PARTIES}",
    ),
    "cases": (
        "id, complaint_id, attempt, state, requested_on, due_on, opened_at, closed_at, closed_version",
        f"id {CASES}",
    ),
    "participants": (
        "case_id, party_id, side, standing, joined_at, asked_at, left_at, joined_version, left_version",
        f"party_id {PARTIES} AND (side = 'complainant' OR asked_at IS NOT NULL)",
    ),
    # The other parties, through the parents of those two tables: fewer columns, and policies of their own.
    "visible_participants": (
        "case_id, party_id, side, standing, joined_at",
        f"case_id {SHARED} AND standing = 'agreed'",
    ),
    "visible_parties": (
        "id, side, name",
        _found("visible_participants f WHERE f.party_id = visible_parties.id"),
    ),
    # Its own, once the case is ready or closed or the party has left. Only the office sees `agreement_reached`.
    "parts": (
        "case_id, complainant_id, officer_id, disposition, removed",
        f"NOT removed AND case_id {KNOWN} AND (complainant_id {PARTIES} OR officer_id {PARTIES})",
    ),
    "consents": (
        "id, case_id, party_id, decision, disclosure_sha256, channel, guardian_consent_id, replaces, at, version",
        f"party_id {PARTIES} AND case_id {CASES}",
    ),
    "voided_consents": (
        "consent_id, case_id, party_id, reason, at",
        f"party_id {PARTIES} AND case_id {CASES}",
    ),
    "guardian_consents": (
        "id, case_id, party_id, disclosure_sha256, channel, at",
        f"party_id {PARTIES} AND case_id {CASES}",
    ),
    "withdrawals": (
        "id, case_id, party_id, channel, at",
        f"party_id {PARTIES} AND case_id {CASES}",
    ),
    "sessions": (
        "id, case_id, mediator_id, state, during, mode, place, link, scheduled_at, revision",
        f"case_id {SHARED}",
    ),
    "assignments": (
        "case_id, mediator_id, state",
        f"case_id {SHARED} AND state = 'accepted'",
    ),
    "mediators": (
        "id, name",
        _found("assignments a WHERE a.mediator_id = mediators.id"),
    ),
    "attendees": (
        "id, case_id, role, language, for_party_id, added_at, confirmed_at",
        f"case_id {SHARED} AND (for_party_id IS NULL OR for_party_id {PARTIES})",
    ),
    "signatures": (
        "id, agreement_id, signer_role, signer_id, at",
        f"signer_role IN ('party', 'guardian') AND signer_id {PARTIES}",
    ),
    # A party that signed a text may read it after leaving as well.
    "agreements": (
        (
            "id, case_id, kind, number, template_version, languages, text, sha256, terms_confidential, made_at, "
            "superseded_at, purged_at, version, superseded_version"
        ),
        (
            f"case_id {SHARED} OR "
            + _found("signatures s WHERE s.agreement_id = agreements.id AND s.signer_role = 'party'")
        ),
    ),
    # From joining until leaving; of the command that closed the case, only `case.closed` (repository/timeline.py).
    "events": (
        "position, id, kind, complaint_id, case_id, party_id, version, at",
        f"""
        (kind IN ({VISIBLE_TO_ITSELF}) AND party_id {PARTIES})
        OR (kind IN ({VISIBLE_TO_ALL}) AND case_id {CASES} AND EXISTS (
            SELECT FROM participants own JOIN cases c ON c.id = own.case_id
            WHERE own.case_id = events.case_id
            AND (events.kind = 'case.opened' OR (events.version > own.joined_version
                AND (own.left_version IS NULL OR events.version < own.left_version)))
            AND (events.kind = 'case.closed' OR c.closed_version IS NULL OR events.version < c.closed_version)))
        """,
    ),
    # Entries of its case and of itself, for a complainant also of the complaint; up to a point (repository/access_log.py).
    "access_log": (
        "position, at, complaint_id, case_id, party_id, attempt, version, by_role",
        """
        EXISTS (
            SELECT FROM participants own JOIN cases c ON c.id = own.case_id
            WHERE c.complaint_id = access_log.complaint_id AND access_log.attempt >= c.attempt
            AND (access_log.case_id = c.id OR access_log.party_id = own.party_id
                OR (access_log.case_id IS NULL AND access_log.party_id IS NULL AND own.side = 'complainant'))
            AND (ARRAY[access_log.attempt, access_log.version] < access_log_until(own.case_id, own.party_id)
                OR (access_log.case_id = c.id AND own.left_version IS NULL AND c.closed_version IS NOT NULL
                    AND ARRAY[access_log.attempt, access_log.version] >= ARRAY[c.attempt, c.closed_version])))
        """,
    ),
}
"""For each table that a party may read: the columns, and the condition on the rows."""

FUNCTIONS = {
    "speaks_for(text, uuid)": "mediation_service",
    "assume_party(uuid, text, text, text)": "mediation_service",
    "claim_key(text, text, text, text, timestamptz)": "mediation_service",
    "number_events()": "mediation_service",
    "reveal_access_log(uuid)": "mediation_service",
    "store_response(text, text, text, integer, text, bytea, uuid[])": "mediation_service, mediation_party",
}
"""Functions that change the role of the transaction, check whether it may be changed, or begin and end a command, and
the roles that may call them."""

ROLES = ("mediation_service", "mediation_party")


def upgrade() -> None:
    for role in ROLES:
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    # These two tables hold no personal data, and have no row security.
    op.execute("GRANT SELECT ON alembic_version TO mediation_service")
    op.execute("GRANT SELECT, INSERT ON disclosures TO mediation_service")
    op.execute("GRANT SELECT ON disclosures TO mediation_party")
    op.execute("GRANT USAGE ON SEQUENCE complaint_reference TO mediation_service")
    for table in sorted(SERVICE.keys() | PARTY.keys()):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # FORCE: row security applies to the owner of the tables as well.
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table, privileges in SERVICE.items():
        op.execute(f"GRANT {privileges} ON {table} TO mediation_service")
        op.execute(f"CREATE POLICY service ON {table} TO mediation_service USING (true) WITH CHECK (true)")
    op.execute(sql("access_log_until"))
    for table, (columns, rows) in PARTY.items():
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO mediation_party")
        op.execute(f"CREATE POLICY party ON {table} FOR SELECT TO mediation_party USING ({rows})")
    for function, roles in FUNCTIONS.items():
        op.execute(sql(function.split("(")[0]))
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {roles}")


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    for table in PARTY:
        op.execute(f"DROP POLICY party ON {table}")
    op.execute("DROP FUNCTION access_log_until(uuid, uuid)")
    for table in SERVICE:
        op.execute(f"DROP POLICY service ON {table}")
    for table in sorted(SERVICE.keys() | PARTY.keys()):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for role in ROLES:
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
