-- Refuses a withdrawal that was said in a session, where none is led by whoever recorded it.
--
-- The session may have ended by this very withdrawal: both are parts of one statement, in no order.
CREATE FUNCTION require_own_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sessions s
        JOIN mediators m ON m.id = s.mediator_id
        JOIN assignments a ON a.case_id = s.case_id AND a.mediator_id = m.id AND a.state = 'accepted'
        WHERE s.case_id = NEW.case_id AND m.subject = NEW."by"
        AND (s.state = 'in_progress' OR (s.state = 'ended' AND s.finished_at = NEW.at))
    ) THEN
        RAISE EXCEPTION 'a withdrawal that was said in a session is recorded by the mediator who leads it'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'own_session';
    END IF;
    RETURN NEW;
END
$$
