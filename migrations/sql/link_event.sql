-- Sets the sequence and the link of a new event in the audit chain of its stream, and advances the head of the chain.
-- The row lock on the head serializes the writers of one stream; writers of different streams do not wait.
CREATE FUNCTION link_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stream_id uuid := coalesce(NEW.report_id, NEW.case_id, NEW.complaint_id, NEW.mediator_id);
    head audit_chain_heads;
BEGIN
    IF stream_id IS NULL THEN
        NEW.sequence := 0;
        NEW.link := '';
        RETURN NEW;  -- an event of no stream: ck_events_subject refuses it
    END IF;
    SELECT * INTO head FROM audit_chain_heads WHERE stream = stream_id FOR NO KEY UPDATE;
    IF FOUND THEN
        NEW.sequence := head.sequence + 1;
        NEW.link := event_link(head.link, NEW.sequence, NEW);
        UPDATE audit_chain_heads SET sequence = NEW.sequence, link = NEW.link WHERE stream = stream_id;
    ELSE
        NEW.sequence := 1;
        NEW.link := event_link('', 1, NEW);
        INSERT INTO audit_chain_heads VALUES (stream_id, NEW.sequence, NEW.link);
    END IF;
    RETURN NEW;
END
$$
