-- Refuses an access code for a party that was erased.
CREATE FUNCTION refuse_erased_party() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM parties WHERE id = NEW.party_id AND name = '') THEN
        RAISE EXCEPTION 'a party that was erased has no access code'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
