"""What is wrong with the database, in words for operators: one sentence for each SQLSTATE and exception.

Each says what to do. The text of an error itself may quote the address or values of rows, and is not used.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from mediation_api.database.connecting import NoAuthorityError, NoTlsError, OtherKindOfHostError

_URL: Final = "MEDIATION_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """What is wrong with the database, and what to do."""

    words: str
    passes: bool = False
    """Whether it may pass while no setting changes: the service starts, and is not ready until then."""


NOT_MIGRATED: Final = DatabaseFault(
    "The database is not migrated to this release: run `mediation-api migrate` as its owner, and check that "
    f"{_URL} names the right database."
)
_LOST: Final = DatabaseFault("The connection to the database was lost: try again.", passes=True)

_BY_SQLSTATE: Final[Mapping[str, DatabaseFault]] = {
    "28P01": DatabaseFault(
        f"The database refused the password in {_URL}: correct it there (percent-encoded), or set it again with "
        "psql's `\\password`."
    ),
    "28000": DatabaseFault(
        f"The database does not let the user of {_URL} log in: the role does not exist or has no LOGIN, or no line of "
        "pg_hba.conf allows this user, database, address and encryption."
    ),
    "3D000": DatabaseFault(
        f"The database that {_URL} names does not exist on that server: correct the name, or create the database."
    ),
    "42501": DatabaseFault(
        f"The user of {_URL} lacks a privilege: `mediation-api migrate` connects as the owner of the database, every "
        "other command as mediation_service or a member of it."
    ),
    "42P01": NOT_MIGRATED,
    "42704": DatabaseFault("The roles of the service do not exist: create them with the SQL of `mediation-api roles`."),
    "0A000": DatabaseFault(
        "The database server lacks a feature: PostgreSQL 15 or later with the extension btree_gist (of its package of "
        "contributed extensions) is needed."
    ),
    "08P01": DatabaseFault(
        f"The server at {_URL} refused what the service sets for its connections: name PostgreSQL itself there and not "
        "a pooler, since the service has pools of its own."
    ),
    "53100": DatabaseFault("The disk of the database server is full.", passes=True),
    "53300": DatabaseFault(
        "The database server has no connection left: raise its max_connections or the limit of the role or database, "
        "or lower MEDIATION_WORKERS or the sizes of the pools.",
        passes=True,
    ),
    "57P03": DatabaseFault("The database server is starting up or shutting down: try again.", passes=True),
    "57014": DatabaseFault("A statement took too long, and was cancelled: run the command again.", passes=True),
    "55P03": DatabaseFault(
        "A lock was not free in time, so nothing was changed: run the command again at a quieter hour.", passes=True
    ),
    "25006": DatabaseFault(
        f"The database server is a standby or read-only: name every host in {_URL}, with "
        "target_session_attrs=read-write.",
        passes=True,
    ),
}
_BY_CLASS: Final[Mapping[str, DatabaseFault]] = {
    "42": NOT_MIGRATED,  # a column, function or type is missing
    "08": _LOST,
    "57": _LOST,
    "53": DatabaseFault("The database server is out of memory or another resource: see its log.", passes=True),
    "40": DatabaseFault("Another transaction was in the way: run the command again.", passes=True),
}
"""By the class of an SQLSTATE, its first two characters."""

_BY_EXCEPTION: Final[Mapping[type[Exception], DatabaseFault]] = {
    NoTlsError: DatabaseFault(
        f"The server at {_URL} is not PostgreSQL, or has no TLS, which sslmode demands: set `ssl = on` there with a "
        "certificate, or change sslmode."
    ),
    OtherKindOfHostError: DatabaseFault(
        f"No host of {_URL} is of the kind that its target_session_attrs asks for: name every host, or wait until a "
        "standby is promoted.",
        passes=True,
    ),
    ssl.SSLCertVerificationError: DatabaseFault(
        f"The certificate of the database server is not valid for its host, or not signed by the authority that "
        f"sslrootcert in {_URL} names."
    ),
    ssl.SSLError: DatabaseFault(f"TLS with the database server failed: check sslmode in {_URL}, and its log."),
    NoAuthorityError: DatabaseFault(
        f"sslmode=verify-ca and verify-full in {_URL} need sslrootcert, the file with the certificate authority of the "
        "database server."
    ),
    socket.gaierror: DatabaseFault(
        f"The host in {_URL} is not known: correct its name, or percent-encode the password if it has an @.",
        passes=True,
    ),
    ConnectionRefusedError: DatabaseFault(
        f"Nothing listens at host and port of {_URL}: start the database server, or correct the port and its "
        "listen_addresses.",
        passes=True,
    ),
    ConnectionError: _LOST,
    TimeoutError: DatabaseFault(
        f"The database did not answer in time: check host and port of {_URL}, and the firewall on the way.", passes=True
    ),
}
"""By exception: the first one that an error is an instance of."""


def fault_of(error: Exception) -> DatabaseFault | None:
    """Return what an error of the database or of the connection to it means; None for any other error."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(state, str):
        known = _BY_SQLSTATE.get(state) or _BY_CLASS.get(state[:2])
        return known or DatabaseFault(f"The database refused, with SQLSTATE {state}: see its log.", passes=True)
    for kind, fault in _BY_EXCEPTION.items():
        if isinstance(error, kind):
            return fault
    if isinstance(error, SQLAlchemyError):
        return DatabaseFault(f"The database could not be used: {type(error).__name__}.", passes=True)
    return None
