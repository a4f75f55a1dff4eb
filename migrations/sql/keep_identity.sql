-- Refuses to make another person of a party: its side never changes, its employee number not once it was asked
-- (retention may empty it, and it may be hashed anew), a bound subject only by way of none, a removal is final, and
-- nobody is removed whose part was mediated.
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
        RAISE EXCEPTION 'who a party is does not change once it was asked'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'keep_identity';
    END IF;
    RETURN NEW;
END
$$
