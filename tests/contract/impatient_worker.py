"""`mediation-api worker` with shorter pauses and leases, so that an experiment sees in seconds what takes minutes.

`careless`: it records that a mail was sent before it sends it.
"""

import sys
from datetime import timedelta

from mediation_api.cli.worker import worker
from mediation_api.domain import mails as rules
from mediation_api.domain.values import MailState
from mediation_api.outreach import mail_delivery, mail_server
from mediation_api.outreach.mail_delivery import ComposedMail, MailDelivery
from mediation_api.outreach.mail_server import MailAnswer, MailConnection
from mediation_api.outreach.worker import WorkerContext
from mediation_api.repository import mails


async def send_carelessly(
    _delivery: MailDelivery, connection: MailConnection, mail: ComposedMail, context: WorkerContext
) -> MailAnswer:
    """Record that a mail was sent, and send it."""
    async with context.database.transaction() as database:
        await mails.finish(database, mail.claimed, MailState.SENT, context.clock(), smtp_code=250)
    return await connection.send(mail.address, mail.content)


if __name__ == "__main__":
    rules._FIRST_PAUSE = timedelta(seconds=1)  # type: ignore[misc] # final for everybody else
    rules._LONGEST_PAUSE = timedelta(seconds=4)  # type: ignore[misc] # the same
    mail_delivery._FIRST_PAUSE = timedelta(seconds=1)  # type: ignore[misc] # the same
    mail_delivery._LONGEST_PAUSE = timedelta(seconds=2)  # type: ignore[misc] # the same
    mail_server.SEND_SECONDS = 3.0  # type: ignore[misc] # the same
    mails.CLAIMED_FOR = timedelta(seconds=8)  # type: ignore[misc] # the same
    if "careless" in sys.argv:
        MailDelivery._send = send_carelessly  # type: ignore[method-assign, assignment] # the fault
    worker()
