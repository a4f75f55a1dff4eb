-- Returns the state of a case after an event; NULL if the event does not change it.
CREATE FUNCTION state_after(event events) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE event.kind
        WHEN 'case.opened' THEN 'screening'
        WHEN 'case.state_changed' THEN event.data ->> 'to_state'
        WHEN 'case.closed' THEN event.data ->> 'state'
    END
$$
