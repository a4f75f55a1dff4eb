-- Moves up to about a thousand committed events from the queue to the end of the change feed, and returns their number.
-- Returns 0 without waiting while another transaction does it.
--
-- An event that is committed late gets a later number, so that no reader has passed it. The lock is taken by a statement
-- of its own: in READ COMMITTED, the next one then sees all that the holder of the lock before has committed.
--
-- Events of a stream keep their order: `place` is not the position of an event, which a writer may get before it waits
-- for the stream, but the greatest position in its stream so far. The batch ends with no event whose predecessor it lacks.
--
-- An integration is shown the kinds of events that change what it reads of a complaint that it filed. The return of a part
-- would reveal an answer while those of the case are sealed, so it gets an entry for the integration once they no longer are.
--
-- Each entry for an integration also queues what is sent to those of its webhook endpoints that take the kind.
CREATE FUNCTION number_events() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    sealed CONSTANT text[] := ARRAY['asking', 'confirming', 'screening'];
    integration_kinds CONSTANT text[] := ARRAY[
        'case.closed', 'case.opened', 'complaint.corrected', 'complaint.filed', 'part.mediated', 'part.opened',
        'part.returned', 'party.added', 'party.removed'
    ];
    numbered integer;
BEGIN
    IF NOT EXISTS (SELECT FROM unnumbered_events)
        OR NOT pg_try_advisory_xact_lock(hashtextextended('change_feed', 0)) THEN
        RETURN 0;
    END IF;
    WITH oldest AS (
        SELECT stream, sequence FROM unnumbered_events ORDER BY position LIMIT 1000
    ),
    ends AS (
        SELECT stream, max(sequence) AS sequence FROM oldest GROUP BY stream
    ),
    taken AS (
        DELETE FROM unnumbered_events queued USING ends
        WHERE queued.stream = ends.stream AND queued.sequence <= ends.sequence
        RETURNING queued.position, queued.stream
    ),
    added AS (
        SELECT
            event.position,
            event.case_id,
            taken.stream,
            event.sequence,
            max(event.position) OVER (PARTITION BY taken.stream ORDER BY event.sequence) AS place,
            complaint.by AS integration,
            complaint.by IS NOT NULL
                AND event.kind = ANY (integration_kinds)
                AND (event.kind <> 'part.returned' OR state.before <> ALL (sealed)) AS is_shown,
            state_after(event) <> ALL (sealed) AS unseals
        FROM taken
        JOIN events event ON event.position = taken.position
        LEFT JOIN cases ON cases.id = event.case_id
        LEFT JOIN complaints complaint
            ON complaint.id = coalesce(event.complaint_id, cases.complaint_id) AND complaint.by_role = 'integration'
        LEFT JOIN LATERAL (
            SELECT state_after(earlier) AS before
            FROM events earlier
            WHERE event.kind = 'part.returned'
                AND earlier.case_id = event.case_id
                AND earlier.sequence < event.sequence
                AND state_after(earlier) IS NOT NULL
            ORDER BY earlier.sequence DESC
            LIMIT 1
        ) state ON true
    ),
    withheld AS (
        SELECT DISTINCT ON (part.position)
            part.position, part.sequence, opening.stream, opening.place, opening.sequence AS after, opening.integration
        FROM added opening
        JOIN events part
            ON part.case_id = opening.case_id AND part.kind = 'part.returned' AND part.sequence < opening.sequence
        WHERE opening.unseals
            AND opening.integration IS NOT NULL
            AND NOT EXISTS (SELECT FROM added WHERE added.position = part.position AND added.is_shown)
            AND NOT EXISTS (
                SELECT FROM change_feed entry WHERE entry.position = part.position AND entry.integration IS NOT NULL
            )
        ORDER BY part.position, opening.sequence
    ),
    entries AS (
        SELECT
            position, stream, true AS for_office, CASE WHEN is_shown THEN integration END AS integration,
            place, sequence AS after, 0 AS sequence
        FROM added
        UNION ALL
        SELECT position, stream, false, integration, place, after, sequence FROM withheld
    ),
    appended AS (
        INSERT INTO change_feed (number, position, stream, for_office, integration, sequence)
        SELECT
            (SELECT coalesce(max(number), 0) FROM change_feed)
                + row_number() OVER (ORDER BY place, stream, after, sequence),
            position,
            stream,
            for_office,
            integration,
            CASE WHEN integration IS NOT NULL THEN
                (SELECT coalesce(max(earlier.sequence), 0) FROM change_feed earlier WHERE earlier.stream = entries.stream)
                    + count(integration) OVER (PARTITION BY stream ORDER BY place, after, sequence)
            END
        FROM entries
        RETURNING number, position, stream, integration
    ),
    queued AS (
        INSERT INTO webhook_deliveries (id, endpoint_id, number, stream, state, queued_at, next_attempt_at)
        SELECT gen_random_uuid(), endpoint.id, entry.number, entry.stream, 'waiting', now(), now()
        FROM appended entry
        JOIN events event ON event.position = entry.position
        JOIN webhook_endpoints endpoint ON endpoint.integration = entry.integration
        WHERE endpoint.state <> 'removed' AND event.kind = ANY (endpoint.kinds)
    )
    SELECT count(*) INTO numbered FROM appended;
    RETURN numbered;
END
$$
