-- Requires that a party that leaves a case has no open parts: they are returned to investigation.
CREATE FUNCTION require_returned_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM parts p
        WHERE p.case_id = NEW.case_id AND p.disposition = 'in_mediation'
        AND NEW.party_id IN (p.complainant_id, p.officer_id)
    ) THEN
        RAISE EXCEPTION 'the open parts of a party that leaves are returned to investigation'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
