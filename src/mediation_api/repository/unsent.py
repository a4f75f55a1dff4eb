"""How long mails and webhooks have been waiting to be sent, for /metrics."""

from collections.abc import Mapping
from functools import cache

from sqlalchemy import Extract, Interval, extract, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation_api.database import tables as t
from mediation_api.database.constants import Constant, constants
from mediation_api.database.nesting import AnySelect
from mediation_api.domain.values import DeliveryState, EndpointState, MailState


async def seconds_unsent(connection: AsyncConnection) -> Mapping[str, float]:
    """Return how long the oldest `mail` and the oldest `webhook` have been waiting; without a kind of which none waits.

    What an integration has paused, or has let expire, does not count. The clock is that of the database.
    """
    ages = (await connection.execute(_oldest())).mappings().one()
    return {kind: float(age) for kind, age in ages.items() if age is not None}


@cache
def _oldest() -> AnySelect:
    m, d, e = t.mails.c, t.webhook_deliveries.c, t.webhook_endpoints.c
    mail = select(func.min(m.queued_at)).where(m.state == Constant(MailState.QUEUED))
    is_served = e.state.in_(constants((EndpointState.ACTIVE, EndpointState.FAILING))) & (e.expires_at > func.now())
    webhook = (
        select(func.min(d.queued_at))
        .join_from(t.webhook_deliveries, t.webhook_endpoints)
        .where(d.state == Constant(DeliveryState.WAITING), is_served)
    )
    return select(_age(mail).label("mail"), _age(webhook).label("webhook"))


def _age(oldest: AnySelect) -> Extract:
    return extract("epoch", type_coerce(func.now() - oldest.scalar_subquery(), Interval))
