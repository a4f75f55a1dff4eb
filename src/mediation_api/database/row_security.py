"""The second wall: PostgreSQL itself shows a party its own rows and columns, whatever a query asks for.

`assume_party` becomes the role `mediation_party` until the transaction ends. That role reads what the migrations grant
it, under row policies that look at a context; the database computes the context from who is calling. Both are local to
the transaction: after it the connection is the service's again.

Row security stands behind `access_scope.py`, and does not replace it. It is no defence against somebody who can send
statements of their own, for they could step back as `reset_role` does.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.tables import parties
from mediation_api.domain.access import Actor
from mediation_api.domain.errors import TokenRevoked

_RIGHTS: Final = text(
    """
    SELECT
        EXISTS (
            SELECT FROM pg_roles r WHERE (r.rolsuper OR r.rolbypassrls) AND pg_has_role(r.oid, 'MEMBER')
        ) AS bypasses,
        EXISTS (
            SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND pg_has_role(c.relowner, 'MEMBER')
        ) AS owns,
        EXISTS (
            SELECT FROM pg_roles r WHERE r.rolname = 'mediation_party' AND pg_has_role(r.oid, 'MEMBER')
        ) AS enters
    """
)


_ENTER: Final = select(
    func.assume_party(
        bindparam("party_id", type_=Uuid),
        bindparam("number", type_=parties.c.employee_number_index.type),
        bindparam("code", type_=String),
        bindparam("subject", type_=String),
    )
)
_SPEAKS = select(func.speaks_for(bindparam("code", type_=String), bindparam("party_id", type_=Uuid)))
_LEAVE: Final = select(func.set_config("role", "none", literal(True)))  # noqa: FBT003 - is local


async def assume_party(connection: AsyncConnection, party: Actor) -> None:
    """From here to the end of the transaction, show what this party may see and nothing else.

    The rows of each kind are those that are the party's at this moment; what is written afterwards does not move
    them. One round trip.

    Raises:
        TokenRevoked: the code that the token was given for no longer speaks for the party.
    """
    number, subject = party.employee_number, party.subject
    caller = {"party_id": party.party_id, "number": number, "code": party.code, "subject": subject}
    if not await connection.scalar(_ENTER, caller):
        raise TokenRevoked


async def require_live_code(connection: AsyncConnection, party: Actor) -> None:
    """Refuse a complainant's token once its code has ended. One round trip.

    `enter` asks the same at the end of a command that is done, before it commits.

    Raises:
        TokenRevoked: the code was replaced, or the person erased.
    """
    if not await connection.scalar(_SPEAKS, {"party_id": party.party_id, "code": party.code}):
        raise TokenRevoked


async def reveal_access_log(connection: AsyncConnection, case_id: UUID) -> None:
    """Within the wall, show also who opened one case, as far as that tells nothing of what is sealed.

    How far that is hangs on events that the party is not shown: the service finds it out. Two round trips.
    """
    await reset_role(connection)
    await connection.execute(select(func.reveal_access_log(literal(case_id, Uuid))))


async def reset_role(connection: AsyncConnection) -> None:
    """Be the service again, to write what the party is not shown. One round trip."""
    await connection.execute(_LEAVE)


async def bypasses_row_security(connection: AsyncConnection) -> bool:
    """Whether whom this connection is sees every row. An owner of the tables sees none, and is not told."""
    return bool(await connection.scalar(select(func.pg_has_role(literal("mediation_service"), literal("USAGE")))))


async def privilege_problem(connection: AsyncConnection) -> str | None:
    """Why the wall would not hold for whom this connection is, in words for the operator; None where it holds."""
    rights = (await connection.execute(_RIGHTS)).one()
    if rights.bypasses:
        return "connects as a superuser, or past row security"
    if rights.owns:
        return "connects as an owner of tables"
    return None if rights.enters else "connects as a role that cannot become mediation_party"
