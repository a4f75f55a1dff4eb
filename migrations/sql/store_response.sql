-- Resets the role to the service's, if it is mediation_party, and stores the response of a command under its
-- idempotency key. Called last in a transaction.
CREATE FUNCTION store_response(
    its_caller text, its_operation text, its_key text, its_status integer, its_location text, its_body bytea,
    its_subjects uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', 'none', true);
    UPDATE idempotency_keys SET status = its_status, location = its_location, body = its_body,
        subjects = its_subjects
    WHERE caller = its_caller AND operation = its_operation AND key_sha256 = its_key;
END
$$
