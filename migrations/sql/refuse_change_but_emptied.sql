-- Refuses every change of a row, except that retention may empty one text: the column in the trigger's argument.
CREATE FUNCTION refuse_change_but_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb := to_jsonb(NEW);
BEGIN
    IF after ->> TG_ARGV[0] = '' AND before ->> TG_ARGV[0] <> '' AND before - TG_ARGV[0] = after - TG_ARGV[0] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: a correction is a new event', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
