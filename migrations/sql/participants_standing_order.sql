CREATE TRIGGER standing_order BEFORE UPDATE ON participants
FOR EACH ROW WHEN ((OLD.case_id, OLD.party_id, OLD.standing) IS DISTINCT FROM (NEW.case_id, NEW.party_id, NEW.standing))
EXECUTE FUNCTION refuse_standing_back()
