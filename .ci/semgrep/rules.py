"""Lines on which the rules of rules.yaml must fire or must not, for `semgrep --test`."""

import datetime
import logging
import random
import uuid

import httpx
import sqlalchemy
from fastapi import BackgroundTasks
from jose import jws, jwt

logger = logging.getLogger(__name__)


def tokens(token, key):
    # ruleid: verify-tokens-in-auth-only
    jwt.decode(token, key)
    # ruleid: verify-tokens-in-auth-only
    jws.verify(token, key, "ES256")
    # ok: verify-tokens-in-auth-only
    jws.sign(b"", key, algorithm="ES256")


def errors(work):
    try:
        work()
    except ValueError as error:
        # ruleid: no-error-text
        logger.error("failed: %s", str(error))
        # ruleid: no-error-text
        logger.error(f"failed: {error}")
        # ruleid: no-error-text
        logger.exception("failed")
        # ok: no-error-text
        logger.error("failed: %s", type(error).__name__)


def sql(connection, name, table):
    # ruleid: no-sql-from-strings
    sqlalchemy.text(f"SELECT * FROM parties WHERE name = '{name}'")
    # ruleid: no-sql-from-strings
    connection.exec_driver_sql("SELECT * FROM parties WHERE name = '" + name + "'")
    # ok: no-sql-from-strings
    sqlalchemy.text("SELECT 1")
    # ok: no-sql-from-strings
    sqlalchemy.select(table).where(table.c.name == name)


# ruleid: no-background-tasks
def background(tasks: BackgroundTasks):
    tasks.add_task(print)


async def commits(connection):
    # ruleid: no-explicit-commit
    await connection.commit()
    # ok: no-explicit-commit
    await connection.rollback()


def clock_and_randomness():
    # ruleid: domain-without-clock-or-randomness
    datetime.datetime.now(datetime.UTC)
    # ruleid: domain-without-clock-or-randomness
    uuid.uuid4()
    # ruleid: domain-without-clock-or-randomness
    random.random()
    # ok: domain-without-clock-or-randomness
    datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def http_clients():
    # ruleid: no-unsafe-http-client
    httpx.AsyncClient(follow_redirects=True)
    # ruleid: no-unsafe-http-client
    httpx.get("https://idp.city.example/jwks", verify=False)
    # ok: no-unsafe-http-client
    httpx.AsyncClient(timeout=5)
