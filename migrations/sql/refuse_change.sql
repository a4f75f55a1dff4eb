-- Refuses every change of an append-only table.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a correction is a new event', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
