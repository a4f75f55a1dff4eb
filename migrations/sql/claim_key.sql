-- Claims an idempotency key in the transaction of its command: returns a row if the key is new, and none if it was used
-- before. Waits for a concurrent transaction with the same key.
CREATE FUNCTION claim_key(its_caller text, its_operation text, its_key text, its_request text, its_time timestamptz)
RETURNS SETOF boolean LANGUAGE sql AS $$
    INSERT INTO idempotency_keys (caller, operation, key_sha256, request_sha256, at)
    VALUES (its_caller, its_operation, its_key, its_request, its_time)
    ON CONFLICT DO NOTHING
    RETURNING true
$$
