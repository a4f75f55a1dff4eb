-- Refuses every change of a closed case, except of its version, which counts commands.
CREATE FUNCTION refuse_change_of_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    OLD.version := NEW.version;
    OLD.maybe_missed := NEW.maybe_missed;  -- NULL in NEW: it is computed after this trigger, from columns compared here
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a closed case is not changed: another attempt is another case'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
