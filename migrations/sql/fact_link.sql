-- The hash of one fact and of the link before it: format 1 of mediation_api.domain.audit_chain, each list as jsonb prints it.
CREATE FUNCTION fact_link(previous bytea, place bigint, fact facts) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        1, encode(previous, 'hex'), coalesce(fact.report_id, fact.case_id, fact.complaint_id, fact.mediator_id),
        place, fact.position, fact.id, fact.kind,
        fact.complaint_id, fact.case_id, fact.mediator_id, fact.party_id, fact.version,
        (extract(epoch FROM fact.at) * 1000000)::bigint, fact.by_role, fact.by, fact.data
    )::text, 'UTF8'))
$$
