-- Refuses a change after which the proposed or accepted mediator of an open case is also an officer of its complaint.
CREATE FUNCTION refuse_mediator_as_party() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    complaints_to_check uuid[];
BEGIN
    IF TG_TABLE_NAME = 'parties' THEN
        complaints_to_check := ARRAY[NEW.complaint_id];
    ELSIF TG_TABLE_NAME = 'assignments' THEN
        complaints_to_check := ARRAY(SELECT c.complaint_id FROM cases c WHERE c.id = NEW.case_id);
    ELSE
        complaints_to_check := ARRAY(
            SELECT c.complaint_id FROM cases c JOIN assignments a ON a.case_id = c.id WHERE a.mediator_id = NEW.id
        );
    END IF;
    IF EXISTS (
        SELECT FROM cases c
        JOIN assignments a ON a.case_id = c.id AND a.state IN ('proposed', 'accepted')
        JOIN mediators m ON m.id = a.mediator_id
        JOIN parties p ON p.complaint_id = c.complaint_id AND p.employee_number_index = m.employee_number_index
        WHERE c.complaint_id = ANY (complaints_to_check) AND c.closed_at IS NULL
    ) THEN
        RAISE EXCEPTION 'nobody mediates a complaint that they are a party of'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'mediator_is_party';
    END IF;
    RETURN NULL;
END
$$
