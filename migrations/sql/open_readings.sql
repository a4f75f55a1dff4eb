-- Finds out how far the party of this transaction may see who opened one case, and becomes mediation_party again.
-- That depends on facts that the party is not shown, so the service calls it. One case at a time: an officer may have
-- thousands.
CREATE FUNCTION open_readings(of_case uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SELECT jsonb_object_agg(own.case_id || ' ' || own.party_id, CASE
        WHEN c.state = 'mediated' AND EXISTS (
            SELECT FROM parts mediated
            WHERE mediated.case_id = c.id AND own.party_id IN (mediated.complainant_id, mediated.officer_id)
            AND mediated.disposition = 'closed_mediated') THEN 'infinity'
        ELSE coalesce(greatest(
            (SELECT min(asked.asked_at) FROM participants asked WHERE asked.case_id = c.id),
            (SELECT max(ready.at) FROM facts ready
             WHERE ready.case_id = c.id AND ready.kind = 'case.moved' AND ready.data ->> 'target' = 'ready'
             AND ready.at > own.joined_at AND (own.left_at IS NULL OR ready.at < own.left_at))
        ), 'infinity')
        END)
        INTO found
    FROM participants own JOIN cases c ON c.id = own.case_id
    WHERE c.id = of_case
    AND c.id = ANY (nullif(current_setting('mediation.cases', true), '')::uuid[])
    AND own.party_id = ANY (nullif(current_setting('mediation.parties', true), '')::uuid[]);
    PERFORM
        set_config('role', 'mediation_party', true),
        set_config('mediation.readings', coalesce(found, '{}'), true);
END
$$
