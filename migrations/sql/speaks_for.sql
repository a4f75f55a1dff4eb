-- Returns whether an access code is the party's and has not ended; if it has, the tokens issued for it are no longer
-- valid. A new code and an erasure end a code.
CREATE FUNCTION speaks_for(code text, party uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM access_codes c WHERE c.lookup = code AND c.party_id = party AND c.ended_at IS NULL)
$$
