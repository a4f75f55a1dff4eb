-- Requires that a part begins in mediation, belongs to a complainant and an officer, and is closed once. It is mediated
-- only if both agreed and attended one completed session under a text that both had signed. `agreement_reached` is true
-- if and only if the current resolution has all signatures of the part.
CREATE FUNCTION require_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.disposition <> 'in_mediation' OR NOT EXISTS (
            SELECT FROM participants c JOIN participants o ON o.case_id = c.case_id
            WHERE c.case_id = NEW.case_id AND c.party_id = NEW.complainant_id AND c.side = 'complainant'
            AND o.party_id = NEW.officer_id AND o.side = 'officer'
        ) THEN
            RAISE EXCEPTION 'a part begins in mediation, between a complainant and an officer'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END IF;
    IF (OLD.disposition, OLD.agreement_reached, OLD.case_id, OLD.complainant_id, OLD.officer_id)
        IS NOT DISTINCT FROM (NEW.disposition, NEW.agreement_reached, NEW.case_id, NEW.complainant_id, NEW.officer_id)
    THEN
        RETURN NULL;  -- one of the two was removed from the complaint
    END IF;
    IF OLD.disposition <> 'in_mediation' OR (OLD.case_id, OLD.complainant_id, OLD.officer_id)
        <> (NEW.case_id, NEW.complainant_id, NEW.officer_id)
    THEN
        RAISE EXCEPTION 'a closed part is not changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.disposition <> 'closed_mediated' THEN
        RETURN NULL;
    END IF;
    IF 2 <> (
        SELECT count(*) FROM participants p
        WHERE p.case_id = NEW.case_id AND p.party_id IN (NEW.complainant_id, NEW.officer_id) AND p.standing = 'agreed'
    ) OR NOT EXISTS (
        SELECT FROM sessions s
        WHERE s.case_id = NEW.case_id AND s.state = 'completed' AND 2 = (
            SELECT count(*) FROM attendances a
            JOIN signatures signed ON signed.agreement_id = s.agreement_id
                AND signed.signer_role = a.seat_role AND signed.signer_id = a.seat_id
            WHERE a.session_id = s.id AND a.present AND a.seat_role = 'party'
            AND a.seat_id IN (NEW.complainant_id, NEW.officer_id))
    ) THEN
        RAISE EXCEPTION 'a part is mediated only if both agreed, signed, and were in a completed session'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.agreement_reached IS DISTINCT FROM EXISTS (
        SELECT FROM agreements r
        WHERE r.case_id = NEW.case_id AND r.kind = 'resolution' AND r.superseded_at IS NULL
        AND signed_by_part(r.id, NEW.complainant_id, NEW.officer_id)
    ) THEN
        RAISE EXCEPTION 'an agreement was reached if and only if everybody of the part signed a resolution'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
