-- Claims an idempotency key in the transaction of its command: returns a row if the key is new, and none if it was used
-- before. Waits for a concurrent transaction with the same key. Also deletes a few keys from before `expired`.
CREATE FUNCTION claim_key(
    its_caller text, its_operation text, its_key text, its_request text, its_time timestamptz, expired timestamptz
) RETURNS SETOF boolean LANGUAGE plpgsql AS $$
BEGIN
    WITH old AS (
        SELECT caller, operation, key_sha256 FROM idempotency_keys WHERE at < expired LIMIT 20 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM idempotency_keys k USING old
    WHERE k.caller = old.caller AND k.operation = old.operation AND k.key_sha256 = old.key_sha256;
    INSERT INTO idempotency_keys (caller, operation, key_sha256, request_sha256, at)
    VALUES (its_caller, its_operation, its_key, its_request, its_time)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NEXT true;
    END IF;
END
$$
