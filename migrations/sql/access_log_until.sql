-- Returns the attempt and the version of a case: a party may see access log entries from before that point. NULL until
-- reveal_access_log has computed it in this transaction.
CREATE FUNCTION access_log_until(of_case uuid, party uuid) RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('mediation.access_log', true), '')::jsonb ->> (of_case || ' ' || party))::integer[]
$$
