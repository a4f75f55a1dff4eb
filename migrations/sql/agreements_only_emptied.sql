-- The text of an agreement can be set to NULL by retention, and not be changed otherwise.
CREATE TRIGGER only_emptied BEFORE UPDATE OF text ON agreements
FOR EACH ROW WHEN (NEW.text IS NOT NULL)
EXECUTE FUNCTION refuse_other_text()
