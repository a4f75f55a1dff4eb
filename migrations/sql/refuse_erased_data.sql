-- Refuses to set erased columns of a party again. A party with an empty name was erased.
CREATE FUNCTION refuse_erased_data() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.name = '' AND (
        NEW.name <> ''
        OR num_nonnulls(
            NEW.employee_number, NEW.employee_number_index, NEW.unit, NEW.phone, NEW.email, NEW.postal_address,
            NEW.safe_contact, NEW.interpreter_language, NEW.accommodations, NEW.guardian_name, NEW.guardian_relation,
            NEW.guardian_phone, NEW.guardian_email
        ) > num_nonnulls(
            OLD.employee_number, OLD.employee_number_index, OLD.unit, OLD.phone, OLD.email, OLD.postal_address,
            OLD.safe_contact, OLD.interpreter_language, OLD.accommodations, OLD.guardian_name, OLD.guardian_relation,
            OLD.guardian_phone, OLD.guardian_email
        )
    ) THEN
        RAISE EXCEPTION 'erased data of a party is not stored again'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
