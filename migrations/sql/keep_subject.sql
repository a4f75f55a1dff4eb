-- Refuses to change the subject of a mediator to whom a case was proposed: it would be another person.
CREATE FUNCTION keep_subject() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM assignments WHERE mediator_id = OLD.id) THEN
        RAISE EXCEPTION 'the identity of a mediator does not change once a case was proposed'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'keep_subject';
    END IF;
    RETURN NEW;
END
$$
