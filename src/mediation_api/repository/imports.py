"""Imports: their lines until these are done, how far each is, and the lines that were refused.

The lines of an import wait in batches, encrypted under a data key of the import. A batch is deleted by the transaction
that files it, which also counts it: after a crash, the next one goes on with the first batch that is left.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import and_, case, delete, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation_api.database import tables as t
from mediation_api.database.access_scope import REQUESTED_ID, ScopeKind, fetch_one, scope_parameters
from mediation_api.database.batching import batched
from mediation_api.database.data_keys import decrypted, new_data_key
from mediation_api.database.encryption import DataKey
from mediation_api.database.locking import lock_in_scope, lock_row
from mediation_api.database.nesting import AnyRow, AnySelect
from mediation_api.database.pagination import Order, Page, PageRequest, read_page
from mediation_api.domain.access import AccessScope
from mediation_api.domain.imports import Import
from mediation_api.domain.values import ImportState

ABANDONED_AFTER: Final = timedelta(hours=1)
"""The age at which an upload that has not ended is given up: its process was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBatch:
    """Lines of an import that are done next, and who uploaded them."""

    id: UUID
    import_id: UUID
    by: str
    dry_run: bool
    first_line: int
    lines: Sequence[bytes]


class Upload:
    """An import whose lines are arriving. Each batch is a transaction, since a caller may send slowly."""

    def __init__(self, import_id: UUID, key: DataKey) -> None:
        self._import_id = import_id
        self._key = key

    @classmethod
    async def begin(
        cls, connection: AsyncConnection, import_id: UUID, *, by: str, request_id: str, dry_run: bool, at: datetime
    ) -> "Upload":
        """Begin an upload."""
        columns = {"by": by, "request_id": request_id, "dry_run": dry_run, "uploaded_at": at}
        await connection.execute(insert(t.imports).values(id=import_id, state=ImportState.RUNNING, **columns))
        key, change = new_data_key(connection, import_id)
        for statement, values in batched([change]):
            await connection.execute(statement, values)
        return cls(import_id, key)

    async def add(self, connection: AsyncConnection, first_line: int, lines: Sequence[bytes]) -> None:
        """Store a batch of lines."""
        row_id = uuid4()
        # Latin-1 keeps every byte: whether the lines are UTF-8 is found out as each is filed.
        texts = {"lines": b"\n".join(lines).decode("latin-1")}
        row = self._key.encrypted_row(t.import_batches, row_id, texts)
        await connection.execute(
            insert(t.import_batches).values(id=row_id, import_id=self._import_id, first_line=first_line, **row)
        )

    async def complete(self, connection: AsyncConnection, lines: int, at: datetime) -> None:
        """Let the lines be filed: all of them have arrived. Without lines, the import has ended."""
        ended = {} if lines else {"state": ImportState.FINISHED, "ended_at": at}
        values = {"lines": lines, **ended}
        await connection.execute(update(t.imports).where(t.imports.c.id == self._import_id).values(values))

    async def drop(self, connection: AsyncConnection) -> None:
        """Delete what has arrived of an upload that failed."""
        await connection.execute(delete(t.imports).where(t.imports.c.id == self._import_id))


class Imports:
    """The imports of integrations."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, import_id: UUID, scope: AccessScope) -> AnyRow:
        """Return an import. Raises NotFound."""
        return await fetch_one(self._connection, _one, scope, import_id)

    async def list_refusals(self, import_id: UUID, scope: AccessScope, page: PageRequest) -> Page[AnyRow]:
        """Return a page of the lines that were refused, in the order of the lines. Raises NotFound."""
        await self.get(import_id, scope)
        line = t.import_refusals.c.line
        parameters = scope_parameters(scope, import_id)
        return await read_page(self._connection, _refusals(), page, Order(line, line), parameters=parameters)

    async def lock(self, import_id: UUID, scope: AccessScope) -> Import:
        """Lock an import, so that no batch of it is filed meanwhile. Raises NotFound."""
        await lock_in_scope(self._connection, t.imports, import_id, scope)
        return Import(state=ImportState((await self.get(import_id, scope))["state"]))

    async def cancel(self, import_id: UUID, at: datetime) -> None:
        """Stop a locked import, and delete the lines that are not done."""
        of_import = t.import_batches.c.import_id == import_id
        await self._connection.execute(delete(t.import_batches).where(of_import))
        values = {"state": ImportState.CANCELLED, "ended_at": at}
        await self._connection.execute(update(t.imports).where(t.imports.c.id == import_id).values(values))

    # ── filing the lines ───────────────────────────────────────────────────────────────────────────────────────────

    async def next_batch(self) -> LineBatch | None:
        """Lock the oldest import of an integration of which no other transaction files a batch, and return its next.

        Imports of one integration take turns, since a reference may be in several of them.
        """
        for by in (await self._connection.scalars(_WAITING)).all():
            if (await self._connection.execute(_take_turn(by))).scalar_one():
                oldest = (await self._connection.execute(_oldest(by))).first()
                if oldest is not None:
                    await lock_row(self._connection, t.imports, oldest.id)
                    row = (await self._connection.execute(_next_batch(), {"requested_id": oldest.id})).first()
                    if row is not None:  # it was cancelled while this waited for its lock
                        lines = row.lines.encode("latin-1").split(b"\n")
                        return LineBatch(
                            id=row.id,
                            import_id=oldest.id,
                            by=by,
                            dry_run=oldest.dry_run,
                            first_line=row.first_line,
                            lines=lines,
                        )
        return None

    async def known_references(self, by: str, references: Collection[str]) -> frozenset[str]:
        """Return those of the references of an integration under which it has filed a complaint."""
        c = t.complaints.c
        known = select(c.external_reference).where(c.by == by, c.external_reference == func.any(list(references)))
        return frozenset((await self._connection.scalars(known)).all())

    async def finish(
        self, batch: LineBatch, refused: Mapping[int, object], *, filed: int, already_there: int, at: datetime
    ) -> None:
        """Count the lines of a batch and delete them. After the last batch, the import has ended.

        Args:
            batch: of `next_batch`, in this transaction.
            refused: why a line was refused, as JSON, by its number.
            filed: how many were filed.
            already_there: how many had been filed before.
            at: the time.
        """
        if refused:
            rows = [{"import_id": batch.import_id, "line": line, "problem": each} for line, each in refused.items()]
            await self._connection.execute(insert(t.import_refusals), rows)
        await self._connection.execute(delete(t.import_batches).where(t.import_batches.c.id == batch.id))
        i, of_import = t.imports.c, t.imports.c.id == batch.import_id
        is_last = ~select(t.import_batches.c.id).where(t.import_batches.c.import_id == batch.import_id).exists()
        values = {
            "done": batch.first_line + len(batch.lines) - 1,
            "filed": i.filed + filed,
            "refused": i.refused + len(refused),
            "already_there": i.already_there + already_there,
            "state": case((is_last, ImportState.FINISHED), else_=i.state),
            "ended_at": case((is_last, at), else_=None),
        }
        await self._connection.execute(update(t.imports).where(of_import).values(values))

    async def drop_abandoned(self, at: datetime) -> None:
        """Delete uploads whose process was killed before all of their lines had arrived."""
        i = t.imports.c
        await self._connection.execute(delete(t.imports).where(i.lines.is_(None), i.uploaded_at < at - ABANDONED_AFTER))


async def delete_ended(engine: AsyncEngine, before: datetime) -> int:
    """Delete the imports uploaded before an instant, with the lines that are not done. Returns their number."""
    async with engine.begin() as connection:
        return (await connection.execute(delete(t.imports).where(t.imports.c.uploaded_at < before))).rowcount


_RUNNING: Final = and_(t.imports.c.state == ImportState.RUNNING, t.imports.c.lines.is_not(None))
_WAITING: Final = (
    select(t.imports.c.by).where(_RUNNING).group_by(t.imports.c.by).order_by(func.min(t.imports.c.uploaded_at))
)


def _take_turn(by: str) -> AnySelect:
    """Select whether this transaction is the one that files the imports of an integration."""
    return select(func.pg_try_advisory_xact_lock(func.hashtextextended(f"import {by}", literal_column("0"))))


def _oldest(by: str) -> AnySelect:
    i = t.imports.c
    return select(i.id, i.dry_run).where(_RUNNING, i.by == by).order_by(i.uploaded_at, i.id).limit(1)


@cache
def _next_batch() -> AnySelect:
    b = t.import_batches.c
    return (
        select(b.id, b.first_line, decrypted(b.lines))
        .where(b.import_id == REQUESTED_ID)
        .order_by(b.first_line)
        .limit(1)
    )


@cache
def _one(kind: ScopeKind) -> AnySelect:
    i = t.imports
    return select(i).where(i.c.id == REQUESTED_ID, i.c.lines.is_not(None), kind.where(i))


@cache
def _refusals() -> AnySelect:
    r = t.import_refusals
    of_import = r.join(t.imports, t.imports.c.id == r.c.import_id)
    return select(r, t.imports.c.request_id).select_from(of_import).where(r.c.import_id == REQUESTED_ID)
