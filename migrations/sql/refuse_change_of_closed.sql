-- Refuses every change of a closed case but of its version, which counts the commands about it.
CREATE FUNCTION refuse_change_of_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    OLD.version := NEW.version;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a closed case stays as it is: another attempt is another case'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
