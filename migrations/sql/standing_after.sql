-- Returns the standing of a party after an event; NULL if the event does not change it. A test compares it with the
-- standing that the service writes.
CREATE FUNCTION standing_after(event events) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE event.kind
        WHEN 'party.joined' THEN 'waiting'
        WHEN 'party.asked' THEN 'asked'
        WHEN 'consent.given' THEN event.data ->> 'decision'
        WHEN 'consent.voided' THEN CASE WHEN event.data ->> 'reason' <> 'party_removed' THEN 'waiting' END
        WHEN 'party.removed' THEN 'removed'
        WHEN 'party.withdrew' THEN 'withdrawn'
        WHEN 'party.lapsed' THEN 'lapsed'
    END
$$
