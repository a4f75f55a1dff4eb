-- Requires that everybody who is present in a session has signed the agreement under which it started.
CREATE FUNCTION require_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sessions s JOIN signatures signed ON signed.agreement_id = s.agreement_id
        WHERE s.id = NEW.session_id AND signed.signer_role = NEW.seat_role AND signed.signer_id = NEW.seat_id
    ) THEN
        RAISE EXCEPTION 'a person who has not signed may not be present in a session'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
