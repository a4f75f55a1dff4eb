"""Sealed columns: the data keys, and the keyed hash by which an officer's employee number is found.

The columns that are sealed keep their types: what is written from now on is ciphertext, and `mediation-api keys rotate`
seals what was written before. Until it has, an officer is found by the number itself as well.

Revises: 20261128_1320
Created: 2026-11-28 14:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1400"
down_revision: str | None = "20261128_1320"
branch_labels: str | None = None
depends_on: str | None = None


def _list(name: str) -> str:
    """One list of the context that `enter_wall` sets."""
    return f"ANY (nullif(current_setting('mediation.{name}', true), '')::uuid[])"


# The complaint's, and that of the mediator whom those who take part are shown: `assignments` has a policy of its own.
SHOWN_KEYS = f"id = {_list('complaints')} OR EXISTS (SELECT FROM assignments a WHERE a.mediator_id = data_keys.id)"

ENTER_WALL = """
CREATE FUNCTION enter_wall(complainant uuid, officer text{arguments}) RETURNS void LANGUAGE plpgsql AS $$
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
"""As it was, and with one more argument. The old one stays for the release before, which calls it."""

REFUSE_OTHER_TEXT = """
CREATE FUNCTION refuse_other_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the text of an agreement is never changed: another is made'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

BY_HASH = (
    "(p.employee_number_index = officer_index OR (p.employee_number_index IS NULL AND p.employee_number = officer))"
)


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("wrapped", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE (key_id, wrapped) ON data_keys TO mediation_service")
    op.execute("CREATE POLICY service ON data_keys TO mediation_service USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT (id, key_id, wrapped) ON data_keys TO mediation_party")
    op.execute(f"CREATE POLICY party ON data_keys FOR SELECT TO mediation_party USING ({SHOWN_KEYS})")
    op.execute("ALTER TABLE data_keys ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE data_keys FORCE ROW LEVEL SECURITY")
    op.add_column("parties", sa.Column("employee_number_index", sa.String(), nullable=True))
    op.execute("GRANT UPDATE (employee_number_index) ON parties TO mediation_service")
    op.execute("GRANT SELECT (employee_number_index) ON parties TO mediation_party")
    op.execute("GRANT UPDATE (name) ON attendees TO mediation_service")
    # To seal what was written before; nothing else may become of a text that people sign.
    op.execute("GRANT UPDATE (text) ON agreements TO mediation_service")
    op.execute(REFUSE_OTHER_TEXT)
    op.execute(
        "CREATE TRIGGER only_sealed BEFORE UPDATE OF text ON agreements FOR EACH ROW "
        "WHEN (starts_with(OLD.text, 'sealed.') OR NOT starts_with(NEW.text, 'sealed.')) "
        "EXECUTE FUNCTION refuse_other_text()"
    )
    op.execute(ENTER_WALL.format(arguments=", officer_index text", is_officer=BY_HASH))
    op.execute("REVOKE ALL ON FUNCTION enter_wall(uuid, text, text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION enter_wall(uuid, text, text) TO mediation_service")


def downgrade() -> None:
    op.execute("DROP FUNCTION enter_wall(uuid, text, text)")
    op.execute("DROP TRIGGER only_sealed ON agreements")
    op.execute("DROP FUNCTION refuse_other_text()")
    op.execute("REVOKE UPDATE (text) ON agreements FROM mediation_service")
    op.execute("REVOKE UPDATE (name) ON attendees FROM mediation_service")
    op.drop_column("parties", "employee_number_index")
    # Without its key, what was sealed is lost.
    op.execute("ALTER TABLE data_keys NO FORCE ROW LEVEL SECURITY")
    op.execute(
        """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM data_keys) THEN
                RAISE EXCEPTION 'the database holds sealed values, which only their data keys open';
            END IF;
        END
        $$
        """
    )
    op.drop_table("data_keys")
