-- Requires that a closed case has no open part, and that it is mediated if and only if one of its parts is.
CREATE FUNCTION require_closed_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM parts p WHERE p.case_id = NEW.id AND p.disposition = 'in_mediation')
        OR (NEW.state = 'mediated') <> EXISTS (
            SELECT FROM parts p WHERE p.case_id = NEW.id AND p.disposition = 'closed_mediated')
    THEN
        RAISE EXCEPTION 'a closed case has no open part, and is mediated if and only if one of its parts is'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
