-- Refuses every change of a screening, except that retention may empty the text of its reason.
CREATE FUNCTION refuse_change_but_reason() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.reason = '' AND OLD.reason <> '' THEN
        OLD.reason := NEW.reason;
        IF NEW = OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: a correction is a new fact', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
