"""A plugin of pytest that plants one fault in the running program and notes which gates see it.

    PLANTED='["a role too many", "getParty"]' pytest -n0 -p tests.gates.planted tests/routers

It writes to the file PLANTED_SEEN which gates were red and, where nothing is planted, which tests call which
operations, which are refused by them with 409, and every refusal: a fault in one operation is then shown to those tests
alone. Once a gate is red, the rest of its tests are skipped.
"""

import ast
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import pytest
from tests.gates.kinds import KINDS, SOURCE, Exchange, Kind, is_condition, is_order, is_refusal

KIND, WHERE = json.loads(os.environ["PLANTED"])
SEEN: Final[set[str]] = set()
CALLS: Final[dict[str, set[str]]] = {}
"""The tests that call each operation, where nothing is planted."""
REFUSED: Final[dict[str, set[str]]] = {}
"""Those of them that it refuses with 409."""
EVERY_ANSWER: Final = "every answer"
MARK: Final = "If the route is right, document this"
"""What tests/openapi/conformity.py says of an answer that breaks the contract, whatever the test is about."""


def gate_of(path: str) -> str:
    """Return the name of the gate that a test belongs to: its file."""
    return path.partition("::")[0].removeprefix("tests/").removesuffix(".py").replace("/test_", "/")


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Plant before anything of the service is imported."""
    if ":" in WHERE:
        sys.meta_path.insert(0, Finder())
    elif KIND in DECLARATIONS:
        _declare(DECLARATIONS[KIND])
    elif KIND in PATCHES:
        PATCHES[KIND]()
    else:
        _spoil()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is left of a gate that is red already."""
    if gate_of(item.nodeid) in SEEN:
        pytest.skip("the gate is red")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which gate a failure belongs to."""
    if report.failed:
        SEEN.add(EVERY_ANSWER if MARK in report.longreprtext else gate_of(report.nodeid))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A test file that cannot be imported is red as well."""
    if report.failed:
        SEEN.add(gate_of(report.nodeid))


def pytest_unconfigure() -> None:
    """Leave the gates for whoever runs this."""
    from tests.openapi.conformity import REFUSALS

    calls, refused = ({name: sorted(tests) for name, tests in each.items()} for each in (CALLS, REFUSED))
    found = json.dumps({"seen": sorted(SEEN), "calls": calls, "refused": refused, "refusals": sorted(REFUSALS)})
    Path(os.environ["PLANTED_SEEN"]).write_text(found, encoding="utf-8")


# ── in the source ──────────────────────────────────────────────────────────────────────────────────────────────────


class Loader(SourceFileLoader):
    """Loads a module with a statement changed."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source, and nothing that was compiled before."""
        del fullname
        tree = ast.parse(Path(self.path).read_text(encoding="utf-8"))
        changed = Change(int(WHERE.partition(":")[2])).visit(tree)
        code: CodeType = compile(ast.fix_missing_locations(changed), self.path, "exec")
        return code


class Change(ast.NodeTransformer):
    """Takes away the refusal, the condition or the order on one line."""

    def __init__(self, line: int) -> None:
        self.line = line

    def visit_If(self, node: ast.If) -> ast.AST:
        """`if …: raise …` becomes `if …: pass`."""
        self.generic_visit(node)
        if KIND == "a refusal of the domain dropped" and node.lineno == self.line and is_refusal(node):
            node.body = [ast.Pass()]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`.where(a, b)` becomes `.where(a)`, and `.order_by(…)` goes."""
        self.generic_visit(node)
        if node.lineno != self.line or not isinstance(node.func, ast.Attribute):
            return node
        if KIND == "a condition of SQL dropped" and is_condition(node):
            del node.args[-1]
        if KIND == "an order of SQL dropped" and is_order(node):
            return node.func.value
        return node


class Finder(MetaPathFinder):
    """Finds the one module that is changed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how it is loaded."""
        del path, target
        file = SOURCE / WHERE.partition(":")[0]
        if fullname != ".".join(("mediation_api", *file.relative_to(SOURCE).with_suffix("").parts)):
            return None
        return spec_from_file_location(fullname, file.absolute(), loader=Loader(fullname, str(file.absolute())))


# ── in what operations declare ─────────────────────────────────────────────────────────────────────────────────────


def _role_too_many(operation: Any) -> Any:
    from mediation_api.domain.access import Relation, Role

    added = next(
        role for role in (Role.AUDITOR, Role.INTEGRATION, Role.MEDIATOR, Role.INTAKE) if role not in operation.access
    )
    return replace(operation, access={**operation.access, added: Relation.OFFICE})


def _role_too_few(operation: Any) -> Any:
    return replace(operation, access=dict([*operation.access.items()][1:]))


def _any_object(operation: Any) -> Any:
    from mediation_api.domain.access import Relation

    return replace(operation, access=dict.fromkeys(operation.access, Relation.OFFICE))


def _any_scope(operation: Any) -> Any:
    return replace(operation, oauth_scope=None)


DECLARATIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "a role too many": _role_too_many,
    "a role too few": _role_too_few,
    "the relation to the object not asked for": _any_object,
    "a scope not asked for": _any_scope,
}


def _declare(change: Callable[[Any], Any]) -> None:
    """Let the operation declare something else, wherever it is read."""
    from mediation_api.http.routes import Operation

    attach = Operation.__call__

    def attached(self: Operation, endpoint: Any) -> Any:
        return attach(change(self) if self.id == WHERE else self, endpoint)

    Operation.__call__ = attached  # type: ignore[method-assign] # planted


# ── in the layers below ────────────────────────────────────────────────────────────────────────────────────────────


def _utc() -> None:
    from mediation_api.domain import target

    target.local_date = lambda at, _: at.date()  # type: ignore[assignment] # planted


def _unlogged() -> None:
    """What the operation opens is read without an entry in the access log."""
    from mediation_api.domain import access_log

    original = access_log.logged_scope

    def logged_scope(scope: Any, operation: str, *arguments: Any) -> Any:
        return scope if operation == WHERE else original(scope, operation, *arguments)

    access_log.logged_scope = logged_scope  # type: ignore[assignment] # planted


def _unrecorded() -> None:
    """The first type of event that the operation may record is not recorded."""
    from mediation_api.repository import recording

    original = recording.record

    async def record(connection: Any, *decided: tuple[Any, Sequence[Any]], **more: Any) -> None:
        from mediation_api.main import OPERATIONS

        dropped = OPERATIONS[WHERE].events[0]
        kept = (
            (stream, [event for event in new_events if not isinstance(event, dropped)])
            for stream, new_events in decided
        )
        await original(connection, *kept, **more)

    recording.record = record


def _altered(statement: str) -> Callable[[], None]:
    """The database lacks something once it is migrated."""

    def plant() -> None:
        import asyncpg
        from alembic import command

        original = command.upgrade
        table, _, name = WHERE.partition(" ")

        async def alter(url: str) -> None:
            connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
            await connection.execute(statement.format(table=table, name=name))
            await connection.close()

        def upgrade(config: Any, *arguments: Any, **more: Any) -> None:
            original(config, *arguments, **more)
            asyncio.run(alter(config.attributes["settings"].database_url.get_secret_value()))

        command.upgrade = upgrade

    return plant


PATCHES: Final[Mapping[str, Callable[[], None]]] = {
    "the date of UTC": _utc,
    "an opening not logged": _unlogged,
    "an event not recorded": _unrecorded,
    "a constraint missing": _altered('ALTER TABLE {table} DROP CONSTRAINT "{name}" CASCADE'),
    "row security off for a table": _altered("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
}


# ── in requests and answers ────────────────────────────────────────────────────────────────────────────────────────


def _spoil() -> None:
    """Let every application spoil what the operation gets or answers."""
    from mediation_api import main

    original = main.create_app

    def create_app(*arguments: Any, **more: Any) -> Any:
        app = original(*arguments, **more)
        app.add_middleware(Spoiler)
        return app

    main.create_app = create_app


NOTHING: Final = Kind("", lambda: ())


class Spoiler:
    """Spoils the requests or the answers of one operation."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.kind = KINDS.get(KIND, NOTHING)
        self.operation, _, self.name = WHERE.partition(" ")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run one request."""
        from tests.openapi.conformity import contract

        operation = contract().operation(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if operation is not None and self.kind is NOTHING:
            await self._note(operation.name, scope, receive, send)
        elif operation is None or operation.name != self.operation:
            await self.app(scope, receive, send)
        elif self.kind.request is not None:
            await self.app(*await self._changed(scope, receive), send)
        else:
            await self._answer(scope, receive, send)

    async def _note(self, operation: str, scope: Any, receive: Any, send: Any) -> None:
        """Note which test calls an operation, and whether it is refused."""
        test, _, phase = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")
        # What the first test of a file prepares, the others of it look at.
        called = test if phase.startswith("call") else test.partition("::")[0]
        CALLS.setdefault(operation, set()).add(called)

        async def noted(message: Any) -> None:
            if message.get("status") == 409:
                REFUSED.setdefault(operation, set()).add(called)
            await send(message)

        await self.app(scope, receive, noted)

    async def _changed(self, scope: Any, receive: Any) -> tuple[Any, Any]:
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode()))
        named = {"name": self.name} if self.name else {}
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = None
        assert self.kind.request is not None
        changed = self.kind.request(query, headers, body, **named)
        content = json.dumps(changed).encode() if changed is not body else content
        if "content-length" in headers:
            headers["content-length"] = str(len(content))
        scope = {
            **scope,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "query_string": urlencode(query).encode(),
        }
        first = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def received() -> Any:
            return next(first, None) or await receive()

        return scope, received

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        messages: list[Any] = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        start = messages[0]
        content = b"".join(message.get("body", b"") for message in messages[1:])
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        spoils = start["status"] < 400 or KIND in {"another problem code", "403 in place of 404"}
        if content and spoils and headers.get("content-type", "").endswith("json"):
            answer = Exchange(start["status"], headers, json.loads(content))
            before = json.dumps(answer.body)
            assert self.kind.answer is not None
            self.kind.answer(answer)
            if json.dumps(answer.body) != before:
                content = json.dumps(answer.body, separators=(",", ":")).encode()
                headers["content-length"] = str(len(content))
            start["status"] = answer.status
        start["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send(start)
        await send({"type": "http.response.body", "body": content})
