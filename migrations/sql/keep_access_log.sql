-- Refuses to delete an entry of the access log before it is a year old, whatever the role. Retention deletes older ones.
CREATE FUNCTION keep_access_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at > now() - interval '365 days' THEN
        RAISE EXCEPTION 'access_log is append-only: an entry is kept for a year at least'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'keep_access_log';
    END IF;
    RETURN OLD;
END
$$
