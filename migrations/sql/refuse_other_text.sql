-- Refuses to replace the text of an agreement: it is what people sign.
CREATE FUNCTION refuse_other_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the text of an agreement is never changed: another is made'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
