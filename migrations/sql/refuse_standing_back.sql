-- Refuses to change a standing in a way that standing_may_become does not list, and to move a participant elsewhere.
CREATE FUNCTION refuse_standing_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.case_id, NEW.party_id) <> (OLD.case_id, OLD.party_id)
    OR NOT standing_may_become(OLD.standing, NEW.standing) THEN
        RAISE EXCEPTION 'a standing does not become another in that order'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
