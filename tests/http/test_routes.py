"""What a route declares belongs to its function, whatever the function is called."""

import ast
import importlib
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Final
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from tests.conftest import Clock, RolledBackDatabase, application, calling
from tests.openapi.reading import document
from tests.scenarios.test_access_log import tell

import mediation_api
from mediation_api import main
from mediation_api.dev.office import Caller, Office
from mediation_api.domain.access import CASEWORK, EVERYBODY, access_page, allow
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.routes import Operation, operations_of
from mediation_api.settings import Settings

ROUTERS: Final = "mediation_api.routers"


class Renamed(SourceFileLoader):
    """Loads a router as if each function that declares an operation had another name."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as importlib calls it
        """Compile the changed source, past what was compiled before."""
        tree = ast.parse(self.get_data(self.path))
        for place, node in enumerate(tree.body):
            decorators = node.decorator_list if isinstance(node, ast.AsyncFunctionDef) else []
            if any(ast.unparse(each).startswith("Operation(") for each in decorators):
                node.name = f"renamed_{place}"  # type: ignore[attr-defined] # a function
        return compile(tree, self.path, "exec")


class RenamingFinder(PathFinder):
    """Finds the routers, and renames what they hold."""

    @classmethod
    def find_spec(cls, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find a module of the routers; no other."""
        if not fullname.startswith(f"{ROUTERS}."):
            return None
        spec = super().find_spec(fullname, path, target)  # type: ignore[arg-type] # as importlib passes them on
        if spec is not None and spec.origin is not None:
            spec.loader = Renamed(fullname, spec.origin)
        return spec


def names(routes: tuple[object, ...]) -> set[str]:
    return {route.endpoint.__name__ for route in routes if isinstance(route, APIRoute) and route.include_in_schema}


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch, settings: Settings, clock: Clock, database: RolledBackDatabase) -> FastAPI:
    """The application, in which no function of a route has its name."""
    for package, module in (("main", main), ("routers", sys.modules[ROUTERS])):
        monkeypatch.setattr(mediation_api, package, module)
    for module_name in list(sys.modules):
        if module_name == main.__name__ or module_name.startswith(ROUTERS):
            monkeypatch.delitem(sys.modules, module_name)
    monkeypatch.setattr(sys, "meta_path", [RenamingFinder, *sys.meta_path])
    other = importlib.import_module(main.__name__)
    assert len(names(other.ROUTES)) > len(other.ROUTERS)
    assert names(other.ROUTES).isdisjoint(names(main.ROUTES))
    assert other.OPERATIONS == main.OPERATIONS
    assert access_page(other.OPERATIONS) == Path("docs/access.md").read_text(encoding="utf-8")
    return application(settings, clock, database)


@pytest.mark.drawn
async def test_renaming_every_function_of_a_route_changes_nothing(
    office: Office, database: RolledBackDatabase, renamed: FastAPI
) -> None:
    assert renamed.openapi() == document()
    story, found_at = await tell(office, database)
    async with calling(renamed) as client:

        async def both(who: Caller, path: str) -> tuple[httpx.Response, httpx.Response]:
            headers = {"Authorization": f"Bearer {who.token}", "X-Request-Id": "the-same"}
            return await office.client.get(path, headers=headers), await client.get(path, headers=headers)

        for who in (office.director, office.auditor, *story.everybody):
            for operation, path in found_at.items():
                if operation in {"listAccessLog", "listAccessAnomalies"}:  # the first read is in the second answer
                    continue
                one, other = await both(who, path)
                assert (one.status_code, one.content) == (other.status_code, other.content), operation
        logged, again = await both(office.director, f"{story.path}/access-log?limit=100")
        assert again.json()["items"][1:] == logged.json()["items"][:99]
        assert {each["operation"] for each in again.json()["items"]} <= main.OPERATIONS.keys()
        # What is stored by the one is known to the other: a cursor, and the answer to a key.
        first = await office.director.get(f"{story.path}/timeline?limit=1")
        await replace(office, client=client).director.get(
            f"{story.path}/timeline?limit=1&cursor={first['next_cursor']}"
        )
        headers = {"Authorization": f"Bearer {office.coordinator.token}", "Idempotency-Key": str(uuid4())}
        body = {"name": "Ines Duarte", "languages": ["en"], "subject": "mediator.renamed"}
        added = await office.client.post("/v1/mediators", json=body, headers=headers)
        replayed = await client.post("/v1/mediators", json=body, headers=headers)
        assert (added.status_code, replayed.headers["Idempotency-Replayed"]) == (201, "true")
        assert (added.content, added.headers["Location"]) == (replayed.content, replayed.headers["Location"])
        assert added.headers["Location"] == f"/v1/mediators/{added.json()['id']}"


# ── what fails the build ───────────────────────────────────────────────────────────────────────────────────────────


async def close_case() -> None: ...


DECLARED: Final = Operation("closeCase", access=allow(office=CASEWORK), oauth_scope="cases:write")


def test_a_route_that_declares_nothing_is_refused_with_what_to_do() -> None:
    router = APIRouter(prefix="/v1", route_class=StrictRoute)
    router.get("/nothing")(close_case)
    with pytest.raises(
        TypeError, match=r"test_routes\.close_case \(/v1/nothing\) declares no operation: write @Operation"
    ):
        operations_of(router.routes)


def test_a_declaration_that_the_route_did_not_see_is_refused() -> None:
    async def outside() -> None: ...

    wrong_order = APIRouter(route_class=StrictRoute)
    DECLARED(wrong_order.get("/outside")(outside))
    plain = APIRouter()
    plain.get("/plain")(outside)
    for router in (wrong_order, plain):
        with pytest.raises(TypeError, match="between the router's decorator and the function"):
            operations_of(router.routes)


def test_an_id_is_one_operations() -> None:
    router = APIRouter(route_class=StrictRoute)

    async def one() -> None: ...

    async def other() -> None: ...

    router.get("/one")(DECLARED(one))
    assert operations_of(router.routes) == {"closeCase": DECLARED}
    router.get("/other")(DECLARED(other))
    with pytest.raises(ValueError, match="Two routes declare the operation closeCase"):
        operations_of(router.routes)


def test_what_is_no_part_of_the_contract_declares_nothing() -> None:
    router = APIRouter(route_class=StrictRoute, include_in_schema=False)
    router.get("/docs")(close_case)
    assert operations_of(router.routes) == {}


def test_a_declaration_is_complete_without_what_few_operations_have() -> None:
    operation = Operation("getLiveness", access=EVERYBODY, oauth_scope=None)
    assert (operation.opens, operation.events, operation.location, operation.pool) == (None, (), None, None)
    assert (operation.uses_database, operation.always_answered) == (True, False)
