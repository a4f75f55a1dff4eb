-- Refuses a withdrawal over the channel "session" by a mediator who does not lead a session in progress in this case.
--
-- The withdrawal itself may end the session: the parts of one statement are executed in no particular order.
CREATE FUNCTION require_own_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sessions s
        JOIN mediators m ON m.id = s.mediator_id
        JOIN assignments a ON a.case_id = s.case_id AND a.mediator_id = m.id AND a.state = 'accepted'
        WHERE s.case_id = NEW.case_id AND m.subject = NEW."by"
        AND (s.state = 'in_progress' OR (s.state = 'ended' AND s.finished_at = NEW.at))
    ) THEN
        RAISE EXCEPTION 'a withdrawal in a session is recorded by the mediator who leads it'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'own_session';
    END IF;
    RETURN NEW;
END
$$
