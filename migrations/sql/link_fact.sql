-- Gives a new fact its place in the chain of its stream, and moves the head of the stream on to it.
-- The row lock on the head serializes the writers of one stream; writers of different streams do not meet.
CREATE FUNCTION link_fact() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_fact uuid := coalesce(NEW.report_id, NEW.case_id, NEW.complaint_id, NEW.mediator_id);
    head chain_heads;
BEGIN
    IF of_fact IS NULL THEN
        NEW.sequence := 0;
        NEW.link := '';
        RETURN NEW;  -- a fact of no stream: ck_facts_subject refuses it
    END IF;
    SELECT * INTO head FROM chain_heads WHERE stream = of_fact FOR NO KEY UPDATE;
    IF FOUND THEN
        NEW.sequence := head.sequence + 1;
        NEW.link := fact_link(head.link, NEW.sequence, NEW);
        UPDATE chain_heads SET sequence = NEW.sequence, link = NEW.link WHERE stream = of_fact;
    ELSE
        NEW.sequence := 1;
        NEW.link := fact_link('', 1, NEW);
        INSERT INTO chain_heads VALUES (of_fact, NEW.sequence, NEW.link);
    END IF;
    RETURN NEW;
END
$$
