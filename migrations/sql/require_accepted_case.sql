-- Refuses an event by a mediator in a case that they did not accept, except the answer to its proposal.
CREATE FUNCTION require_accepted_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM assignments a
        JOIN mediators m ON m.id = a.mediator_id
        WHERE a.case_id = NEW.case_id AND m.subject = NEW."by"
        AND (
            a.state IN ('accepted', 'recused')
            OR NEW.kind IN ('assignment.accepted', 'assignment.declined', 'assignment.conflicted')
        )
    ) THEN
        RAISE EXCEPTION 'a mediator may do nothing in a case that they did not accept'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'accepted_case';
    END IF;
    RETURN NEW;
END
$$
