-- The attempt and the version of a case before which what was read of it is shown to a party; NULL until open_readings
-- has found it.
CREATE FUNCTION opened_until(of_case uuid, party uuid) RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('mediation.readings', true), '')::jsonb ->> (of_case || ' ' || party))::integer[]
$$
