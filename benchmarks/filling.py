"""A database as full as a city's after many years, made by the database itself within minutes.

Every case has a complaint, a complainant, an officer, a mediator who accepted and a session that was held; one in
twenty-five is still open, but no more than an office works on, 400. The first `of_one` belong to one coordinator, one
officer, one mediator and one integration, who are named below; the timeline of the very first holds as many events as
there are cases. `rare` cases each, spread over all, are in the state `asking`, were closed after they were due, and are
of a precinct and a language of their own.

A case is filed every five minutes from 2015 on. So 10,000 take longer than the 28 days until a case is due, a million
end in 2024, and as many of each are filed, due or closed within a period that is early enough.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.encryption import keyring

OFFICER: Final = "4711"
MEDIATOR: Final = "mediator.busy"
INTEGRATION: Final = "intake-system"
COORDINATOR: Final = "coordinator.busy"
FIRST_CASE: Final = "SELECT md5('case 1')::uuid"

_ROWS: Final = (
    # The keys are hashes, so that they lie as scattered as random ones, and every run is the same.
    """
    INSERT INTO complaints (id, reference, channel, narrative, allegations, interested_in_mediation, rank_initiated,
                            precinct, filed_at, by_role, by)
    SELECT md5('complaint ' || n)::uuid, '2020-' || lpad(n::text, greatest(6, length(n::text)), '0'), 'integration', '',
           '{discourtesy}', true, false, CASE WHEN n % :every = 0 THEN 'rare' ELSE 'of ' || n % 10 END,
           timestamptz '2015-01-01 00:00Z' + n * interval '5 minutes', 'integration',
           CASE WHEN n <= :of_one THEN 'intake-system' ELSE 'system-' || n % 100 END
    FROM generate_series(1, :cases) AS n
    """,
    """
    INSERT INTO parties (id, complaint_id, side, name, employee_number_index, email_allowed, language, minor, added_at)
    SELECT md5(side || n)::uuid, md5('complaint ' || n)::uuid, side, '',
           CASE WHEN side = 'officer' THEN CASE WHEN n <= :of_one THEN :hashed ELSE 'of e-' || n END END, false,
           CASE WHEN n % :every = 0 THEN 'vi' ELSE 'en' END, false,
           timestamptz '2015-01-01 00:00Z' + n * interval '5 minutes'
    FROM generate_series(1, :cases) AS n, (VALUES ('complainant'), ('officer')) AS sides (side)
    """,
    """
    INSERT INTO cases (id, complaint_id, attempt, state, coordinator, requested_on, due_on, opened_at, closed_at,
                       agreement_reached, version, closed_version, screening_outdated)
    SELECT md5('case ' || n)::uuid, md5('complaint ' || n)::uuid, 1,
           CASE WHEN n % :every = 0 THEN 'asking' WHEN open THEN 'ready' ELSE 'mediated' END,
           CASE WHEN n <= :of_one THEN 'coordinator.busy' ELSE 'coordinator.' || n % 20 END,
           opened_at::date, opened_at::date + 28, opened_at,
           CASE WHEN NOT open THEN opened_at + days * interval '1 day' END, CASE WHEN NOT open THEN true END, 2,
           CASE WHEN NOT open THEN 2 END, false
    FROM (
        SELECT n, n % greatest(25, :cases / 400) = 0 OR n % :every = 0 AS open,
               CASE WHEN (n + 1) % :every = 0 THEN 40 ELSE 20 END AS days,
               timestamptz '2015-01-01 00:00Z' + n * interval '5 minutes' AS opened_at
        FROM generate_series(1, :cases) AS n
    ) AS made
    """,
    """
    INSERT INTO participants (case_id, party_id, side, standing, joined_at, asked_at, joined_version)
    SELECT md5('case ' || n)::uuid, md5(side || n)::uuid, side, 'agreed', at, at, 1
    FROM (
        SELECT n, timestamptz '2015-01-01 00:00Z' + n * interval '5 minutes' AS at FROM generate_series(1, :cases) AS n
    ) AS made, (VALUES ('complainant'), ('officer')) AS sides (side)
    """,
    # Open in every case: none of them has a text that anybody signed, without which no part is mediated.
    """
    INSERT INTO parts (case_id, complainant_id, officer_id, disposition, removed)
    SELECT md5('case ' || n)::uuid, md5('complainant' || n)::uuid, md5('officer' || n)::uuid, 'in_mediation', false
    FROM generate_series(1, :cases) AS n
    """,
    """
    INSERT INTO mediators (id, name, subject, email_allowed, languages, active, added_at)
    SELECT md5('mediator ' || n)::uuid, '', CASE n WHEN 0 THEN 'mediator.busy' ELSE 'mediator.' || n END,
           false, '{en}', true, timestamptz '2015-01-01 00:00Z' + n * interval '5 minutes'
    FROM generate_series(0, greatest(:cases / 10, 1)) AS n
    """,
    """
    INSERT INTO assignments (id, case_id, mediator_id, state, answer_due_on, conflicts, proposed_at, answered_at)
    SELECT md5('assignment ' || n)::uuid, md5('case ' || n)::uuid,
           md5('mediator ' || CASE WHEN n <= :of_one THEN 0 ELSE 1 + n % greatest(:cases / 10, 1) END)::uuid,
           'accepted', at::date + 7, '{}', at, at
    FROM (
        SELECT n, timestamptz '2015-01-02 00:00Z' + n * interval '5 minutes' AS at FROM generate_series(1, :cases) AS n
    ) AS made
    """,
    """
    INSERT INTO sessions (id, case_id, mediator_id, state, during, mode, scheduled_at, finished_at, revision)
    SELECT md5('session ' || n)::uuid, md5('case ' || n)::uuid,
           md5('mediator ' || CASE WHEN n <= :of_one THEN 0 ELSE 1 + n % greatest(:cases / 10, 1) END)::uuid,
           'completed', tstzrange(at, at + interval '1 hour'), 'video', at, at + interval '1 hour', 0
    FROM (
        SELECT n, timestamptz '2015-01-03 00:00Z' + n * interval '5 minutes' AS at FROM generate_series(1, :cases) AS n
    ) AS made
    """,
    """
    INSERT INTO events (id, kind, complaint_id, case_id, version, data, at, by_role, by)
    SELECT md5('event ' || n)::uuid, 'session.scheduled', md5('complaint 1')::uuid, md5('case 1')::uuid, 2 + n, '{}',
           timestamptz '2015-01-03 00:00Z' + n * interval '5 minutes', 'coordinator', 'coordinator.busy'
    FROM generate_series(1, :cases) AS n
    """,
)
_ACCESS_LOG: Final = (
    """
    INSERT INTO access_log (at, operation, purpose, complaint_id, case_id, attempt, version, by_role, by)
    SELECT timestamptz '2015-01-02 00:00Z' + n * interval '1 minute', 'getCase', 'casework',
           md5('complaint ' || n)::uuid, md5('case ' || n)::uuid, 1, 2, 'coordinator', 'coordinator.' || (n + m) % 20
    FROM generate_series(1, :cases) AS n, generate_series(1, 3) AS m
    """,
    """
    INSERT INTO access_log (at, operation, purpose, listed, by_role, by)
    SELECT timestamptz '2015-01-02 00:00Z' + n * interval '1 minute', 'listCases', 'casework',
           ARRAY(SELECT md5('case ' || m)::uuid FROM generate_series(n, n + 19) AS m),
           'coordinator', 'coordinator.' || n % 20
    FROM generate_series(1, :cases, 5) AS n
    """,
)


async def fill(
    connection: AsyncConnection,
    *,
    cases: int,
    of_one: int,
    events: bool = True,
    access_log: bool = False,
    rare: int = 0,
    analyze: bool = True,
) -> None:
    """Write the rows, and `analyze` the tables, without which plans are kept. Leaves the commit to the caller.

    Without `events`, the timeline of the first case stays empty: linking its events takes the longest. Names and
    narratives are empty, as retention leaves them. With `access_log`, each case was opened three times, 4,320 times
    a day, and listed some times.
    """
    known: dict[str, object] = {
        "cases": cases,
        "of_one": of_one,
        "every": cases // rare if rare else cases + 3,
        "hashed": keyring(connection.dialect).hashed(OFFICER),
    }
    # Its trigger would search the table with the plan for an empty one, for each row.
    await connection.exec_driver_sql("ALTER TABLE assignments DISABLE TRIGGER USER")
    for rows in (*(_ROWS if events else _ROWS[:-1]), *(_ACCESS_LOG if access_log else ())):
        statement = text(rows)
        await connection.execute(statement, {name: known[name] for name in statement.compile().params})
        if analyze:
            await connection.exec_driver_sql(f"ANALYZE {rows.split()[2]}")
    await connection.exec_driver_sql("ALTER TABLE assignments ENABLE TRIGGER USER")
