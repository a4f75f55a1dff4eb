-- Refuses a change of standing that standing_may_become does not list, and a change of a participant's case or party.
CREATE FUNCTION refuse_standing_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.case_id, NEW.party_id) <> (OLD.case_id, OLD.party_id)
    OR NOT standing_may_become(OLD.standing, NEW.standing) THEN
        RAISE EXCEPTION 'this change of a standing is not allowed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
