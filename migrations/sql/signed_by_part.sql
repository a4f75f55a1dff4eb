-- Returns whether the complainant and the officer of a part, and the guardian of a minor, have all signed an agreement.
CREATE FUNCTION signed_by_part(agreement uuid, complainant uuid, officer uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM parties p CROSS JOIN (VALUES ('party'), ('guardian')) AS signer (role)
        WHERE p.id IN (complainant, officer) AND (signer.role = 'party' OR p.minor)
        AND NOT EXISTS (
            SELECT FROM signatures s
            WHERE s.agreement_id = agreement AND s.signer_role = signer.role AND s.signer_id = p.id))
$$
