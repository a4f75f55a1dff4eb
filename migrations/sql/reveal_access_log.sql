-- Finds out how far the party of this transaction may see who opened one case, and becomes mediation_party again.
-- That depends on events that the party is not shown, so the service calls it. One case at a time: an officer may have
-- thousands.
--
-- What was read of a case stands at an attempt and at the version of it that whoever read saw: the order is that of the
-- case's commands, and no clock has a part in it. The greatest number stands for no limit.
CREATE FUNCTION reveal_access_log(of_case uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SELECT jsonb_object_agg(own.case_id || ' ' || own.party_id, CASE
        WHEN c.state = 'mediated' AND EXISTS (
            SELECT FROM parts mediated
            WHERE mediated.case_id = c.id AND own.party_id IN (mediated.complainant_id, mediated.officer_id)
            AND mediated.disposition = 'closed_mediated') THEN ARRAY[2147483647, 0]
        ELSE ARRAY[c.attempt, coalesce(greatest(
            (SELECT min(asked.version) FROM events asked WHERE asked.case_id = c.id AND asked.kind = 'party.asked'),
            (SELECT max(ready.version) FROM events ready
             WHERE ready.case_id = c.id AND ready.kind = 'case.state_changed' AND ready.data ->> 'target' = 'ready'
             AND ready.version > own.joined_version
             AND (own.left_version IS NULL OR ready.version < own.left_version))
        ), 2147483647)]
        END::text)
        INTO found
    FROM participants own JOIN cases c ON c.id = own.case_id
    WHERE c.id = of_case
    AND c.id = ANY (nullif(current_setting('mediation.cases', true), '')::uuid[])
    AND own.party_id = ANY (nullif(current_setting('mediation.parties', true), '')::uuid[]);
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.access_log', coalesce(found, '{}'), true);
END
$$
