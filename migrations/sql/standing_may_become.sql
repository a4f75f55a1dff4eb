-- Returns whether a participant's standing may change from `source` to `target`. The same list as
-- mediation_api.domain.participants.NEXT_STANDINGS; a test compares the two.
CREATE FUNCTION standing_may_become(source text, target text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (source, target) IN (
        ('waiting', 'asked'), ('waiting', 'withdrawn'), ('waiting', 'lapsed'), ('waiting', 'removed'),
        ('asked', 'agreed'), ('asked', 'declined'), ('asked', 'withdrawn'), ('asked', 'lapsed'), ('asked', 'removed'),
        ('agreed', 'waiting'), ('agreed', 'withdrawn'), ('agreed', 'lapsed'), ('agreed', 'removed'),
        ('declined', 'withdrawn'), ('declined', 'removed'), ('lapsed', 'withdrawn'), ('lapsed', 'removed'),
        ('withdrawn', 'removed')
    )
$$
