-- At the end of a transaction, refuses a standing or a state that is not the one that the latest event leaves.
--
-- It looks as the service: a party's transaction ends as mediation_party, who is not shown every event. From PostgreSQL 18
-- on a trigger runs as the role that changed the row, which is the service; before, as the role at the end.
CREATE FUNCTION require_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ends_as_party boolean := current_user = 'mediation_party';
    left_by_events boolean;
BEGIN
    IF ends_as_party THEN
        PERFORM set_config('role', 'none', true);
    END IF;
    IF TG_TABLE_NAME = 'participants' THEN
        -- As it is by now: one transaction may change a row more than once.
        SELECT p.standing = (
            SELECT standing_after(f) FROM events f
            WHERE f.case_id = p.case_id AND f.party_id = p.party_id AND standing_after(f) IS NOT NULL
            ORDER BY f.position DESC LIMIT 1
        ) INTO left_by_events FROM participants p WHERE p.case_id = NEW.case_id AND p.party_id = NEW.party_id;
    ELSE
        SELECT c.state = (
            SELECT state_after(f) FROM events f WHERE f.case_id = c.id AND state_after(f) IS NOT NULL
            ORDER BY f.position DESC LIMIT 1
        ) INTO left_by_events FROM cases c WHERE c.id = NEW.id;
    END IF;
    IF ends_as_party THEN
        PERFORM set_config('role', 'mediation_party', true);
    END IF;
    IF left_by_events IS NOT TRUE THEN
        RAISE EXCEPTION '% holds what no event says', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
