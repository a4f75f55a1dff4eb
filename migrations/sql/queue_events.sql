-- Queues new events for the change feed, in the transaction that records them. Those of mandatory reports are in no feed.
CREATE FUNCTION queue_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unnumbered_events (position, stream, sequence)
    SELECT position, coalesce(case_id, complaint_id, mediator_id), sequence FROM added WHERE report_id IS NULL;
    RETURN NULL;
END
$$
