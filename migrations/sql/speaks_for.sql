-- Whether a token that was given for an access code still speaks for a party: the code is that party's, and has not
-- ended. Whatever ends the right to speak for somebody (another code, an erasure) ends the code.
CREATE FUNCTION speaks_for(code text, party uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM access_codes c WHERE c.lookup = code AND c.party_id = party AND c.ended_at IS NULL)
$$
