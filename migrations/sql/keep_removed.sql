-- Refuses to add a removed party to a case, and to change the standing of a removed participant.
CREATE FUNCTION keep_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.standing <> 'removed' AND EXISTS (
        SELECT FROM parties WHERE id = NEW.party_id AND removed_at IS NOT NULL
        AND (TG_OP = 'INSERT' OR OLD.standing = 'removed'))
    THEN
        RAISE EXCEPTION 'a party that was removed takes part in no case'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'keep_removed';
    END IF;
    RETURN NEW;
END
$$
