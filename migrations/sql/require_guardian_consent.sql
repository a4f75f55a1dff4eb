-- Refuses the consent of a minor that names no consent of a guardian.
CREATE FUNCTION require_guardian_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM parties p WHERE p.id = NEW.party_id AND p.minor) THEN
        RAISE EXCEPTION 'a minor consents with the consent of a guardian'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'guardian_consent';
    END IF;
    RETURN NEW;
END
$$
