CREATE TRIGGER stays_closed BEFORE UPDATE ON cases
FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL)
EXECUTE FUNCTION refuse_change_of_closed()
