-- Computes which parties, complaints and cases are the caller's own, stores their ids in transaction-local settings
-- (mediation.*), and sets the role mediation_party until the end of the transaction. The row policies depend on nothing
-- but these settings.
--
-- SECURITY INVOKER: it needs the privileges of mediation_service. It reads the caller's own rows once.
--
-- complainant    the party of a complainant's token
-- officer_index  the blind index of the employee number of an officer's token
-- code           the public part of the access code that the complainant's token was issued for
-- subject        the subject of the token; after an officer's first answer, it must be the one of that answer
--
-- Returns false if the access code of a complainant's token has ended.
CREATE FUNCTION assume_party(complainant uuid, officer_index text, code text, subject text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    own_parties uuid[];
    own_complaints uuid[];
    own_cases uuid[];
    shared_cases uuid[];
    known_cases uuid[];  -- in which the caller may see the dispositions of its own parts
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
    -- The same condition as is_own_party in database/access_scope.py.
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
