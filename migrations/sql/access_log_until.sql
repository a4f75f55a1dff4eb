-- The attempt and the version of a case before which what was read of it is shown to a party; NULL until reveal_access_log
-- has found it.
CREATE FUNCTION access_log_until(of_case uuid, party uuid) RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('mediation.access_log', true), '')::jsonb ->> (of_case || ' ' || party))::integer[]
$$
