-- Refuses to replace the text of an agreement: people sign this exact text.
CREATE FUNCTION refuse_other_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the text of an agreement is never changed: make another agreement'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
