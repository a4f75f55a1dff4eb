-- Computes up to which point the party of this transaction may see the access log of one case, and sets the role
-- mediation_party again. The point depends on events that the party must not see, so the service calls this with its own
-- role. One case at a time: an officer may have thousands.
--
-- An access log entry records the attempt and the case version at the time of the read. Entries are compared by these
-- and not by time, so that their order is that of the case's commands. 2147483647 means no limit.
CREATE FUNCTION reveal_access_log(of_case uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    limits text;
BEGIN
    SELECT jsonb_object_agg(own.case_id || ' ' || own.party_id, CASE
        WHEN c.state = 'mediated' AND EXISTS (
            SELECT FROM parts mediated
            WHERE mediated.case_id = c.id AND own.party_id IN (mediated.complainant_id, mediated.officer_id)
            AND mediated.disposition = 'closed_mediated') THEN ARRAY[2147483647, 0]
        ELSE ARRAY[c.attempt, coalesce(greatest(
            (SELECT min(asked.version) FROM events asked WHERE asked.case_id = c.id AND asked.kind = 'party.asked'),
            (SELECT max(ready.version) FROM events ready
             WHERE ready.case_id = c.id AND ready.kind = 'case.state_changed' AND ready.data ->> 'to_state' = 'ready'
             AND ready.version > own.joined_version
             AND (own.left_version IS NULL OR ready.version < own.left_version))
        ), 2147483647)]
        END::text)
        INTO limits
    FROM participants own JOIN cases c ON c.id = own.case_id
    WHERE c.id = of_case
    AND c.id = ANY (nullif(current_setting('mediation.cases', true), '')::uuid[])
    AND own.party_id = ANY (nullif(current_setting('mediation.parties', true), '')::uuid[]);
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.access_log', coalesce(limits, '{}'), true);
END
$$
