-- The instant before which readings of a case are shown to a party; NULL until open_readings has found it.
CREATE FUNCTION opened_until(of_case uuid, party uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('mediation.readings', true), '')::jsonb ->> (of_case || ' ' || party))::timestamptz
$$
