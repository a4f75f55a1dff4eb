-- At the end of a transaction, requires that a standing or state is the one that results from the latest event.
--
-- It reads the events as the service: a party's transaction ends with the role mediation_party, which cannot read every
-- event. Up to PostgreSQL 17 a deferred trigger runs with the role at the end of the transaction; from 18 on, with the
-- role that changed the row, which is the service.
CREATE FUNCTION require_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends_as_party boolean := current_user = 'mediation_party';
    matches_events boolean;
BEGIN
    IF ends_as_party THEN
        PERFORM set_config('role', 'none', true);
    END IF;
    IF TG_TABLE_NAME = 'participants' THEN
        -- Read the row again: one transaction may change it more than once.
        SELECT p.standing = (
            SELECT standing_after(f) FROM events f
            WHERE f.case_id = p.case_id AND f.party_id = p.party_id AND standing_after(f) IS NOT NULL
            ORDER BY f.position DESC LIMIT 1
        ) INTO matches_events FROM participants p WHERE p.case_id = NEW.case_id AND p.party_id = NEW.party_id;
    ELSE
        SELECT c.state = (
            SELECT state_after(f) FROM events f WHERE f.case_id = c.id AND state_after(f) IS NOT NULL
            ORDER BY f.position DESC LIMIT 1
        ) INTO matches_events FROM cases c WHERE c.id = NEW.id;
    END IF;
    IF ends_as_party THEN
        PERFORM set_config('role', 'mediation_party', true);
    END IF;
    IF matches_events IS NOT TRUE THEN
        RAISE EXCEPTION '% does not match the latest event', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
