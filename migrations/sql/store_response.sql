-- Becomes the service again, if the transaction is a party's, and keeps what a command answered. It comes last.
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
