-- Returns the hash of an event and of the link before it, over the text of a jsonb array: format 1 of
-- mediation_api.domain.audit_chain.
CREATE FUNCTION event_link(previous bytea, place bigint, event events) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        1, encode(previous, 'hex'), coalesce(event.report_id, event.case_id, event.complaint_id, event.mediator_id),
        place, event.position, event.id, event.kind,
        event.complaint_id, event.case_id, event.mediator_id, event.party_id, event.version,
        (extract(epoch FROM event.at) * 1000000)::bigint, event.by_role, event.by, event.data
    )::text, 'UTF8'))
$$
