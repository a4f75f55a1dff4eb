-- The text of an agreement can only be emptied, by retention.
CREATE TRIGGER only_emptied BEFORE UPDATE OF text ON agreements
FOR EACH ROW WHEN (NEW.text IS NOT NULL)
EXECUTE FUNCTION refuse_other_text()
