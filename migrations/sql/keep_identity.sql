-- Refuses changes that would turn a party into another person: of its side; of its employee number once it was asked
-- (retention may empty the number, and key rotation may hash it again); of a bound subject, unless it was cleared
-- before; of a removal. Also refuses to remove a party with a mediated part.
CREATE FUNCTION keep_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.side <> OLD.side
        OR (OLD.removed_at IS NOT NULL
            AND (NEW.removed_at, NEW.removal_reason) IS DISTINCT FROM (OLD.removed_at, OLD.removal_reason))
        OR (OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL AND EXISTS (
            SELECT FROM parts
            WHERE OLD.id IN (complainant_id, officer_id) AND disposition = 'closed_mediated'))
        OR NEW.bound_subject <> OLD.bound_subject
        OR (NEW.employee_number_index IS DISTINCT FROM OLD.employee_number_index
            AND NEW.employee_number IS DISTINCT FROM OLD.employee_number
            AND NEW.employee_number_index IS NOT NULL
            AND EXISTS (SELECT FROM participants WHERE party_id = OLD.id AND asked_at IS NOT NULL))
    THEN
        RAISE EXCEPTION 'the identity of a party does not change once it was asked'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'keep_identity';
    END IF;
    RETURN NEW;
END
$$
