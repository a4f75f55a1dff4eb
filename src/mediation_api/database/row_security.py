"""Row security: PostgreSQL returns to a party nothing but its own rows and columns, whatever a query selects.

`assume_party` sets the role `mediation_party` until the transaction ends. The migrations grant that role some columns
of some tables, under row policies that depend on transaction-local settings (`mediation.*`). The SQL function of the
same name computes these settings from the caller. After the transaction the connection has the service's role again.

Row security is a second check behind database/access_scope.py, and does not replace it. It does not protect against SQL
injection: an attacker could reset the role as `reset_role` does.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database.encryption import BlindIndex
from mediation_api.database.transactions import call
from mediation_api.domain.access import Actor
from mediation_api.domain.errors import TokenRevoked

_PRIVILEGES: Final = text(
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
        ) AS may_assume_party
    """
)


_NUMBER: Final = BlindIndex("employee_number")
_SPEAKS_FOR: Final = select(func.speaks_for(bindparam("code", type_=String), bindparam("party_id", type_=Uuid)))
_RESET_ROLE: Final = select(func.set_config("role", "none", literal(True)))  # noqa: FBT003 - is local


async def assume_party(connection: AsyncConnection, party: Actor) -> None:
    """Until the end of the transaction, restrict the connection to the rows and columns that this party may see.

    Which parties, complaints and cases are the party's own is computed now; later writes in the same transaction do not
    change it. One round trip, with that of BEGIN.

    Raises:
        TokenRevoked: the access code of a complainant's token has ended.
    """
    number = _NUMBER.process_bind_param(party.employee_number, connection.dialect)
    if not await call(connection, "assume_party", party.party_id, number, party.code, party.subject):
        raise TokenRevoked


async def require_live_code(connection: AsyncConnection, party: Actor) -> None:
    """Check that the access code of a complainant's token has not ended. One round trip.

    `assume_party` checks it again at the end of a command, before the commit.

    Raises:
        TokenRevoked: the code was replaced, or the person was erased.
    """
    if not await connection.scalar(_SPEAKS_FOR, {"party_id": party.party_id, "code": party.code}):
        raise TokenRevoked


async def reveal_access_log(connection: AsyncConnection, case_id: UUID) -> None:
    """Let the party also read the access log of one case, as far as that reveals no sealed answer.

    Call it after `assume_party`. How far depends on events that the party must not see, so the role of the service
    computes it. Two round trips.
    """
    await reset_role(connection)
    await connection.execute(select(func.reveal_access_log(literal(case_id, Uuid))))


async def reset_role(connection: AsyncConnection) -> None:
    """Return to the role of the service, to write what the party may not see. One round trip."""
    await connection.execute(_RESET_ROLE)


async def sees_every_row(connection: AsyncConnection) -> bool:
    """Whether row policies give every row to the current role: to members of `mediation_service`.

    An owner of the tables would get no rows and no error, since their row security is forced.
    """
    return bool(await connection.scalar(select(func.pg_has_role(literal("mediation_service"), literal("USAGE")))))


async def role_problem(connection: AsyncConnection) -> str | None:
    """Return why the current role is not safe to serve with, as a text for operators; None if it is safe."""
    privileges = (await connection.execute(_PRIVILEGES)).one()
    if privileges.bypasses:
        connects_as = "a superuser or a role with BYPASSRLS"
    elif privileges.owns:
        connects_as = "an owner of tables"
    elif not privileges.may_assume_party:
        connects_as = "a role that cannot become mediation_party"
    else:
        return None
    return (
        f"MEDIATION_DATABASE_URL: connects as {connects_as}; connect as mediation_service, which the SQL of "
        "`mediation-api roles` creates"
    )
