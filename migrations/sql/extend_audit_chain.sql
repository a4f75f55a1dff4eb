-- Lets the head of a chain move on by one event, and refuses every other change of it.
CREATE FUNCTION extend_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stream <> OLD.stream OR NEW.sequence <> OLD.sequence + 1 THEN
        RAISE EXCEPTION 'the head of a chain moves on by one event, and never back'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
