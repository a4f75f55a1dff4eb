"""Mandatory reports, in a table of their own, with facts and readings that no case leads to.

The facts of a report are a stream under its id. The release before writes no such fact, and the links of all others stay
what they are: `report_id` is empty there, and is no part of what is linked but for the stream that it names.

Revises: 20261125_0400
Created: 2026-11-28 13:00:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision: str = "20261128_1300"
down_revision: str | None = "20261125_0400"
branch_labels: str | None = None
depends_on: str | None = None

WAS = "coalesce({0}.case_id, {0}.complaint_id, {0}.mediator_id)"
IS = "coalesce({0}.report_id, {0}.case_id, {0}.complaint_id, {0}.mediator_id)"
"""Which stream a fact belongs to."""


def _linking(stream: str) -> tuple[str, str]:
    """`fact_link` and `link_fact` as 20261125_0330 made them, but for the stream."""
    return (
        f"""
        CREATE OR REPLACE FUNCTION fact_link(previous bytea, place bigint, fact facts) RETURNS bytea
        LANGUAGE sql STABLE AS $$
            SELECT sha256(convert_to(jsonb_build_array(
                1, encode(previous, 'hex'), {stream.format("fact")},
                place, fact.position, fact.id, fact.kind,
                fact.complaint_id, fact.case_id, fact.mediator_id, fact.party_id,
                (extract(epoch FROM fact.at) * 1000000)::bigint, fact.by_role, fact.by, fact.data
            )::text, 'UTF8'))
        $$
        """,  # noqa: S608 - of the two expressions above
        f"""
        CREATE OR REPLACE FUNCTION link_fact() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            of_fact uuid := {stream.format("NEW")};
            head chain_heads;
        BEGIN
            IF of_fact IS NULL THEN
                RETURN NEW;  -- a fact of nothing: a constraint refuses it
            END IF;
            SELECT * INTO head FROM chain_heads WHERE stream = of_fact FOR NO KEY UPDATE;
            IF FOUND THEN
                NEW.sequence := head.sequence + 1;
                NEW.link := fact_link(head.link, NEW.sequence, NEW);
                UPDATE chain_heads SET sequence = NEW.sequence, link = NEW.link WHERE stream = of_fact;
            ELSE
                NEW.sequence := 1;
                NEW.link := fact_link('', 1, NEW);
                INSERT INTO chain_heads VALUES (of_fact, NEW.sequence, NEW.link);
            END IF;
            RETURN NEW;
        END
        $$
        """,  # noqa: S608 - as above
    )


REPLACES = "-- squawk-ignore ban-drop-constraint -- the next statement replaces it, and takes all that it took\n"


def upgrade() -> None:
    op.create_table(
        "mandatory_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("legal_basis", sa.Text(), nullable=False),
        sa.Column("disclosed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_role", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_role", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("drop_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "category IN ('adult_abuse', 'child_abuse', 'criminal_admission', 'imminent_harm', 'witnessed_misconduct')",
            name=op.f("ck_mandatory_reports_category"),
        ),
        sa.CheckConstraint(
            "recipient IN ('adult_protection', 'child_protection', 'law_enforcement', 'police_standards', 'prosecutor')",
            name=op.f("ck_mandatory_reports_recipient"),
        ),
        sa.CheckConstraint("state IN ('dropped', 'filed', 'proposed')", name=op.f("ck_mandatory_reports_state")),
        sa.CheckConstraint(
            "drop_reason IN ('entered_in_error', 'no_duty', 'reported_elsewhere')",
            name=op.f("ck_mandatory_reports_drop_reason"),
        ),
        sa.CheckConstraint(
            "proposed_by_role IN ('director', 'mediator')", name=op.f("ck_mandatory_reports_proposed_by_role")
        ),
        sa.CheckConstraint(
            "decided_by_role IN ('director', 'mediator')", name=op.f("ck_mandatory_reports_decided_by_role")
        ),
        sa.CheckConstraint(
            "num_nonnulls(decided_at, decided_by_role, decided_by) = CASE state WHEN 'proposed' THEN 0 ELSE 3 END",
            name=op.f("ck_mandatory_reports_decided"),
        ),
        sa.CheckConstraint(
            "(state = 'dropped') = (drop_reason IS NOT NULL)", name=op.f("ck_mandatory_reports_dropped")
        ),
        sa.CheckConstraint(
            "state <> 'filed' OR (decided_by <> proposed_by AND decided_by_role = 'director')",
            name=op.f("ck_mandatory_reports_two_people"),
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_mandatory_reports_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandatory_reports")),
    )
    op.create_index("ix_mandatory_reports_case_id", "mandatory_reports", ["case_id"])
    op.execute("ALTER TABLE mandatory_reports ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE mandatory_reports FORCE ROW LEVEL SECURITY")
    # No party is shown any of it.
    op.execute(
        "GRANT SELECT, INSERT, UPDATE (state, decided_at, decided_by_role, decided_by, drop_reason) "
        "ON mandatory_reports TO mediation_service"
    )
    op.execute("CREATE POLICY service ON mandatory_reports TO mediation_service USING (true) WITH CHECK (true)")

    op.add_column("facts", sa.Column("report_id", sa.Uuid(), nullable=True))
    op.execute(
        "ALTER TABLE facts ADD CONSTRAINT fk_facts_report_id FOREIGN KEY (report_id) "
        "REFERENCES mandatory_reports (id) NOT VALID"
    )
    op.execute(REPLACES + "ALTER TABLE facts DROP CONSTRAINT ck_facts_subject")
    op.execute(
        "ALTER TABLE facts ADD CONSTRAINT ck_facts_subject CHECK ("
        "CASE WHEN report_id IS NULL THEN num_nonnulls(complaint_id, case_id, mediator_id) >= 1 "
        "ELSE num_nonnulls(complaint_id, case_id, mediator_id, party_id) = 0 END) NOT VALID"
    )
    for function in _linking(IS):
        op.execute(function)

    op.add_column("readings", sa.Column("report_id", sa.Uuid(), nullable=True))
    op.execute(REPLACES + "ALTER TABLE readings DROP CONSTRAINT ck_readings_subject")
    op.execute(
        "ALTER TABLE readings ADD CONSTRAINT ck_readings_subject CHECK ("
        "num_nonnulls(complaint_id, listed, report_id) = 1 "
        "AND (report_id IS NULL OR num_nonnulls(case_id, party_id) = 0)) NOT VALID"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE readings DROP CONSTRAINT ck_readings_subject")
    op.drop_column("readings", "report_id")
    op.execute(
        "ALTER TABLE readings ADD CONSTRAINT ck_readings_subject CHECK "
        "((complaint_id IS NULL) = (listed IS NOT NULL)) NOT VALID"
    )
    for function in _linking(WAS):
        op.execute(function)
    op.execute("ALTER TABLE facts DROP CONSTRAINT ck_facts_subject")
    op.drop_column("facts", "report_id")
    op.execute(
        "ALTER TABLE facts ADD CONSTRAINT ck_facts_subject CHECK "
        "(num_nonnulls(complaint_id, case_id, mediator_id) >= 1) NOT VALID"
    )
    op.drop_table("mandatory_reports")
