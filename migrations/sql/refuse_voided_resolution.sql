-- Refuses to supersede a resolution that everybody of an open part has signed.
CREATE FUNCTION refuse_voided_resolution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.superseded_at IS NULL AND EXISTS (
        SELECT FROM parts p
        WHERE p.case_id = NEW.case_id AND p.disposition = 'in_mediation'
        AND signed_by_part(NEW.id, p.complainant_id, p.officer_id)
    ) THEN
        RAISE EXCEPTION 'a resolution that everybody of a part has signed is not superseded'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
