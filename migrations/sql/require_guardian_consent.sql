-- Refuses a minor's consent without a guardian's. The trigger fires for consents that refer to none.
CREATE FUNCTION require_guardian_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM parties p WHERE p.id = NEW.party_id AND p.minor) THEN
        RAISE EXCEPTION 'a minor consents only with the consent of a guardian'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'guardian_consent';
    END IF;
    RETURN NEW;
END
$$
