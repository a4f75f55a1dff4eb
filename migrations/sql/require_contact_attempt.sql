-- Refuses to record that somebody lapsed as unreachable whom nobody has tried to reach in this case. How many attempts
-- it takes is a setting; that it takes one is not.
CREATE FUNCTION require_contact_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM contact_attempts
        WHERE case_id = NEW.case_id AND (NEW.party_id IS NULL OR party_id = NEW.party_id)
    ) THEN
        RAISE EXCEPTION 'nobody has tried to reach who lapses as unreachable'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
