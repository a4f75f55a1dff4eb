-- Refuses to record that a party or a case lapsed as unreachable without any contact attempt in this case. How many
-- attempts are required is a setting; that one is required is not.
CREATE FUNCTION require_contact_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM contact_attempts
        WHERE case_id = NEW.case_id AND (NEW.party_id IS NULL OR party_id = NEW.party_id)
    ) THEN
        RAISE EXCEPTION 'a party lapses as unreachable only after a contact attempt'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
