-- Finds out which parties, complaints and cases are the caller's, sets them as the context of the transaction, and
-- becomes mediation_party until its end. The row policies look at this context and at nothing else.
--
-- It runs with the rights of its caller: nobody but the service can read what it reads. One pass over the caller's own
-- rows: it costs what is theirs.
--
-- complainant    the party for whom a complainant's token speaks
-- officer_index  the keyed hash of the employee number of an officer's token
-- code           the public part of the access code that a complainant's token was given for
-- subject        the subject of the token: once an officer has answered, the number alone opens nothing
--
-- It answers whether a complainant's token still speaks for the party.
CREATE FUNCTION assume_party(complainant uuid, officer_index text, code text, subject text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    own_parties uuid[];
    own_complaints uuid[];
    own_cases uuid[];
    shared_cases uuid[];
    known_cases uuid[];  -- of which the caller may know what became of its parts
BEGIN
    SELECT
        array_agg(DISTINCT p.id),
        array_agg(DISTINCT p.complaint_id),
        array_agg(c.id) FILTER (WHERE own.party_id IS NOT NULL),
        array_agg(c.id) FILTER (WHERE own.standing = 'agreed'
            AND c.state IN ('ready', 'scheduled', 'in_session', 'concluded', 'mediated')
            AND EXISTS (SELECT FROM parts kept
                WHERE kept.case_id = c.id AND own.party_id IN (kept.complainant_id, kept.officer_id)
                AND kept.disposition <> 'returned_to_investigation')),
        array_agg(c.id) FILTER (WHERE own.left_at IS NOT NULL OR c.state NOT IN ('screening', 'confirming', 'asking'))
        INTO own_parties, own_complaints, own_cases, shared_cases, known_cases
    FROM parties p
    LEFT JOIN cases c ON c.complaint_id = p.complaint_id
    LEFT JOIN participants own ON own.case_id = c.id AND own.party_id = p.id
    -- Who the caller is; the first wall says the same in database/access_scope.py (is_own_party).
    WHERE p.removed_at IS NULL
    AND ((p.side = 'complainant' AND p.id = complainant AND speaks_for(code, complainant))
        OR (p.side = 'officer' AND p.employee_number_index = officer_index AND own.asked_at IS NOT NULL
            AND coalesce(p.bound_subject, subject) = subject));
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.parties', coalesce(own_parties, '{}')::text, true),
        set_config('mediation.complaints', coalesce(own_complaints, '{}')::text, true),
        set_config('mediation.cases', coalesce(own_cases, '{}')::text, true),
        set_config('mediation.shared', coalesce(shared_cases, '{}')::text, true),
        set_config('mediation.known', coalesce(known_cases, '{}')::text, true);
    RETURN complainant IS NULL OR own_parties IS NOT NULL;
END
$$
