"""The last that could not be sealed, the reasons of screenings, can be; an officer is found by the hash alone.

Every number was hashed when `mediation-api keys rotate` sealed it, and so the release before finds the same.

Revises: 20261128_1700
Created: 2026-11-28 17:10:00+00:00
"""

from alembic import op

revision: str = "20261128_1710"
down_revision: str | None = "20261128_1700"
branch_labels: str | None = None
depends_on: str | None = None

REFUSE_CHANGE_BUT_REASON = """
CREATE OR REPLACE FUNCTION refuse_change_but_reason() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {allowed} THEN
        OLD.reason := NEW.reason;
        IF NEW = OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: a correction is a new fact', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""
EMPTIED = "NEW.reason = '' AND OLD.reason <> ''"
SEALED = "starts_with(NEW.reason, 'sealed.') AND OLD.reason <> '' AND NOT starts_with(OLD.reason, 'sealed.')"

ENTER_WALL = """
CREATE OR REPLACE FUNCTION enter_wall(complainant uuid, officer text, officer_index text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own_parties uuid[];
    own_complaints uuid[];
    own_cases uuid[];
    shared_cases uuid[];
BEGIN
    SELECT array_agg(p.id), array_agg(p.complaint_id) INTO own_parties, own_complaints
    FROM parties p
    WHERE (p.id = complainant AND p.side = 'complainant')
    OR ({is_officer} AND p.side = 'officer' AND EXISTS (
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
        set_config('mediation.parties', coalesce(own_parties, '{{}}')::text, true),
        set_config('mediation.complaints', coalesce(own_complaints, '{{}}')::text, true),
        set_config('mediation.cases', coalesce(own_cases, '{{}}')::text, true),
        set_config('mediation.shared', coalesce(shared_cases, '{{}}')::text, true);
END
$$
"""
BY_HASH = "p.employee_number_index = officer_index"
OR_BY_NUMBER = f"({BY_HASH} OR (p.employee_number_index IS NULL AND p.employee_number = officer))"


def upgrade() -> None:
    op.execute(REFUSE_CHANGE_BUT_REASON.format(allowed=f"({EMPTIED}) OR ({SEALED})"))
    op.execute(ENTER_WALL.format(is_officer=BY_HASH))


def downgrade() -> None:
    op.execute(ENTER_WALL.format(is_officer=OR_BY_NUMBER))
    op.execute(REFUSE_CHANGE_BUT_REASON.format(allowed=EMPTIED))
