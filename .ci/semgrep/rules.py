"""Where each rule must fire, and where it must not: `semgrep --test` holds rules.yaml against the marks."""

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
    # ruleid: one-door-for-tokens
    jwt.decode(token, key)
    # ruleid: one-door-for-tokens
    jws.verify(token, key, "ES256")
    # ok: one-door-for-tokens
    jws.sign(b"", key, algorithm="ES256")


def errors(work):
    try:
        work()
    except ValueError as error:
        # ruleid: no-words-of-an-error
        logger.error("failed: %s", str(error))
        # ruleid: no-words-of-an-error
        logger.error(f"failed: {error}")
        # ruleid: no-words-of-an-error
        logger.exception("failed")
        # ok: no-words-of-an-error
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


# ruleid: nothing-promised-in-the-background
def promise(tasks: BackgroundTasks):
    tasks.add_task(print)


async def commits(connection):
    # ruleid: one-place-commits
    await connection.commit()
    # ok: one-place-commits
    await connection.rollback()


def chance():
    # ruleid: the-domain-is-told
    datetime.datetime.now(datetime.UTC)
    # ruleid: the-domain-is-told
    uuid.uuid4()
    # ruleid: the-domain-is-told
    random.random()
    # ok: the-domain-is-told
    datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def detours():
    # ruleid: no-detours-of-requests
    httpx.AsyncClient(follow_redirects=True)
    # ruleid: no-detours-of-requests
    httpx.get("https://idp.city.example/jwks", verify=False)
    # ok: no-detours-of-requests
    httpx.AsyncClient(timeout=5)
