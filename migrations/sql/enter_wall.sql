-- Finds out which parties, complaints and cases are the caller's, sets them as the context of the transaction, and
-- becomes mediation_party until its end. The row policies look at this context and at nothing else.
--
-- It runs with the rights of its caller: nobody but the service can read what it reads.
--
-- complainant    the party for whom a complainant's token speaks
-- officer        the employee number of an officer's token
-- officer_index  the keyed hash of that number
CREATE FUNCTION enter_wall(complainant uuid, officer text, officer_index text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own_parties uuid[];
    own_complaints uuid[];
    own_cases uuid[];
    shared_cases uuid[];
BEGIN
    SELECT array_agg(p.id), array_agg(p.complaint_id) INTO own_parties, own_complaints
    FROM parties p
    WHERE (p.id = complainant AND p.side = 'complainant')
    OR (p.employee_number_index = officer_index AND p.side = 'officer' AND EXISTS (
        SELECT FROM participants asked WHERE asked.party_id = p.id AND asked.asked_at IS NOT NULL));
    SELECT
        array_agg(c.id),
        array_agg(c.id) FILTER (WHERE own.standing = 'agreed'
            AND c.state IN ('ready', 'scheduled', 'in_session', 'concluded', 'mediated'))
        INTO own_cases, shared_cases
    FROM cases c
    LEFT JOIN participants own ON own.case_id = c.id AND own.party_id = ANY (own_parties)
    WHERE c.complaint_id = ANY (own_complaints) AND (officer IS NULL OR own.asked_at IS NOT NULL);
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.parties', coalesce(own_parties, '{}')::text, true),
        set_config('mediation.complaints', coalesce(own_complaints, '{}')::text, true),
        set_config('mediation.cases', coalesce(own_cases, '{}')::text, true),
        set_config('mediation.shared', coalesce(shared_cases, '{}')::text, true);
END
$$
