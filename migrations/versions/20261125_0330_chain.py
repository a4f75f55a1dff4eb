"""The chain of facts: the database links each fact as it is written, and those that are there already.

`mediation_api.domain.chain` says what a link is made of, and computes the same for whoever verifies.

Facts are locked against writing while those that are there are linked: some 100,000 in five seconds. Reads go on. The
columns of a fact stay as they were; only its place in the chain is added.

Revises: 20261125_0320
Created: 2026-11-25 03:30:00+00:00
"""

from alembic import op

revision: str = "20261125_0330"
down_revision: str | None = "20261125_0320"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    # Each list as jsonb prints it; format 1 of mediation_api.domain.chain.
    op.execute(
        """
        CREATE FUNCTION fact_link(previous bytea, place bigint, fact facts) RETURNS bytea LANGUAGE sql STABLE AS $$
            SELECT sha256(convert_to(jsonb_build_array(
                1, encode(previous, 'hex'), coalesce(fact.case_id, fact.complaint_id, fact.mediator_id),
                place, fact.position, fact.id, fact.kind,
                fact.complaint_id, fact.case_id, fact.mediator_id, fact.party_id,
                (extract(epoch FROM fact.at) * 1000000)::bigint, fact.by_role, fact.by, fact.data
            )::text, 'UTF8'))
        $$
        """
    )
    # The head's row lock is what makes writers of one stream take turns, those of different streams do not meet.
    op.execute(
        """
        CREATE FUNCTION link_fact() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            of_fact uuid := coalesce(NEW.case_id, NEW.complaint_id, NEW.mediator_id);
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
        """
    )
    op.execute(
        """
        CREATE FUNCTION extend_chain() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.stream <> OLD.stream OR NEW.sequence <> OLD.sequence + 1 THEN
                RAISE EXCEPTION 'the head of a chain moves on by one fact, and never back'
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END
        $$
        """
    )
    op.execute("ALTER TABLE facts DISABLE TRIGGER append_only")  # also locks out whoever would write one meanwhile
    op.execute(
        """
        DO $$
        DECLARE
            fact facts;
            before uuid;
            place bigint;
            previous bytea;
        BEGIN
            FOR fact IN SELECT * FROM facts ORDER BY coalesce(case_id, complaint_id, mediator_id), position LOOP
                IF before IS DISTINCT FROM coalesce(fact.case_id, fact.complaint_id, fact.mediator_id) THEN
                    before := coalesce(fact.case_id, fact.complaint_id, fact.mediator_id);
                    place := 0;
                    previous := '';
                END IF;
                place := place + 1;
                previous := fact_link(previous, place, fact);
                UPDATE facts SET sequence = place, link = previous WHERE position = fact.position;
            END LOOP;
            INSERT INTO chain_heads
                SELECT DISTINCT ON (stream) stream, sequence, link
                FROM (SELECT coalesce(case_id, complaint_id, mediator_id) AS stream, sequence, link FROM facts) AS linked
                ORDER BY stream, sequence DESC;
        END
        $$
        """
    )
    op.execute("ALTER TABLE facts ENABLE ALWAYS TRIGGER append_only")
    # Not ALWAYS: a replica takes the links as they come.
    op.execute("CREATE TRIGGER link_fact BEFORE INSERT ON facts FOR EACH ROW EXECUTE FUNCTION link_fact()")
    op.execute("CREATE TRIGGER extend_chain BEFORE UPDATE ON chain_heads FOR EACH ROW EXECUTE FUNCTION extend_chain()")
    op.execute(
        "CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON chain_heads "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("ALTER TABLE chain_heads ENABLE ALWAYS TRIGGER append_only")
    op.execute(
        "ALTER TABLE facts ADD CONSTRAINT ck_facts_was_linked CHECK (sequence IS NOT NULL AND link IS NOT NULL) NOT VALID"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE facts DROP CONSTRAINT ck_facts_was_linked")
    op.execute("DROP TRIGGER append_only ON chain_heads")
    op.execute("DROP TRIGGER extend_chain ON chain_heads")
    op.execute("DROP TRIGGER link_fact ON facts")
    op.execute("DROP FUNCTION extend_chain()")
    op.execute("DROP FUNCTION link_fact()")
    op.execute("DROP FUNCTION fact_link(bytea, bigint, facts)")
