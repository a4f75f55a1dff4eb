-- Whoever is present when a session starts has signed the text that it starts under.
CREATE FUNCTION require_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sessions s JOIN signatures signed ON signed.agreement_id = s.agreement_id
        WHERE s.id = NEW.session_id AND signed.signer_role = NEW.seat_role AND signed.signer_id = NEW.seat_id
    ) THEN
        RAISE EXCEPTION 'nobody is present in a session who has not signed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
