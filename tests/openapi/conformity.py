"""Every answer that a test gets is held against the committed contract: status, form, shape and headers.

`Checked` stands where a test's client calls the application, so that nothing has to be asked for. What was answered is
noted in `SEEN`; at the end of a whole run, conftest.py compares that with what is documented.
"""

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeAlias

import httpx
import jsonschema_rs
from tests.openapi import census
from tests.openapi.refusals import reviewed, role_of

Node: TypeAlias = dict[str, "Node"]
Answered: TypeAlias = tuple[str, str]
"""An operation, and a status."""

Refused: TypeAlias = tuple[str, str, str]
"""An operation, a status, and the code of the problem or of what is wrong with a field."""
AUDIENCES: Final = {
    "complainant": "party",
    "officer": "party",
    "mediator": "mediator",
    "integration": "integration",
    **dict.fromkeys(("intake", "coordinator", "director", "auditor"), "office"),
}
"""The audience of each role that is shown one of several forms."""

_CONTRACT: Final = "urn:contract"
"""The address of the components of the contract, which are read once for all validators."""

SEEN: Final[set[Answered]] = set()
"""What was answered in this process."""
REFUSALS: Final[set[Refused]] = set()
"""What was refused in this process for a reason of the operation's own: see `own_codes`."""


@dataclass(slots=True)
class Operation:
    """One operation of the contract, and the path that it has."""

    name: str
    path: re.Pattern[str]
    responses: Node
    codes: Mapping[str, Collection[str]]
    validators: dict[str, jsonschema_rs.Validator] = field(default_factory=dict)


class Contract:
    """The committed contract, ready to be asked for what one answer must be."""

    def __init__(self, document: Node, headers: Collection[str], everywhere: Collection[str]) -> None:
        self._headers = headers
        self._everywhere: Node = {name: {} for name in everywhere}
        self._components = document["components"]
        self._registry = jsonschema_rs.Registry([(_CONTRACT, {"components": self._components})])
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        self._operations: dict[tuple[str, int], list[Operation]] = {}
        for path, item in document["paths"].items():
            pattern = re.compile(re.sub(r"{\w+}", "[^/]+", path))
            for method, operation in item.items():
                codes = {status: [*map(str, codes)] for status, codes in operation.get("x-problem-codes", {}).items()}
                known = Operation(str(operation["operationId"]), pattern, operation["responses"], codes)
                self._operations.setdefault((method.upper(), path.count("/")), []).append(known)

    def documented(self) -> set[Answered]:
        """Every status of every operation."""
        every = (each for operations in self._operations.values() for each in operations)
        return {(operation.name, status) for operation in every for status in operation.responses}

    def refusals(self) -> set[Refused]:
        """Every code of a 409, and of a field in a 422, that an operation names."""
        every = (each for operations in self._operations.values() for each in operations)
        return {(each.name, status, code) for each in every for status, codes in each.codes.items() for code in codes}

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request is for; None for a path or a method that the contract does not know."""
        method = "GET" if method == "HEAD" else method
        among = self._operations.get((method, path.count("/")), ())
        return next((each for each in among if each.path.fullmatch(path)), None)

    def faults(self, operation: Operation, method: str, response: httpx.Response, body: bytes) -> Iterator[str]:
        """What is wrong with an answer."""
        documented = operation.responses.get(str(response.status_code))
        if documented is None:
            yield "this status is not documented"
            return
        yield from self._faults_of_headers(self._everywhere | documented.get("headers", {}), response.headers)
        if response.status_code in {429, 503} and "Retry-After" not in response.headers:
            yield "the header Retry-After is missing"
        content = documented.get("content", {})
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if media_type == "text/csv" and f"`{media_type}`" in str(documented["description"]):
            return
        if content and media_type not in content:
            yield f"{media_type or 'no content'} in place of {', '.join(content)}"
        elif not content and body:
            yield "there is content, and none is documented"
        elif content and media_type.endswith("json") and method != "HEAD":
            validator = operation.validators.get(str(response.status_code))
            if validator is None:
                validator = operation.validators[str(response.status_code)] = self._validator(
                    content[media_type]["schema"]
                )
            yield from (f"{error.instance_path}: {error.message}" for error in validator.iter_errors(json.loads(body)))

    def _validator(self, schema: Node) -> jsonschema_rs.Validator:
        """The validator of a schema, compiled once for all that refer to the same."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            within = json.loads(key.replace('"$ref": "#/', f'"$ref": "{_CONTRACT}#/'))
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                within, validate_formats=True, registry=self._registry
            )
        return self._validators[key]

    def _faults_of_headers(self, documented: Node, sent: httpx.Headers) -> Iterator[str]:
        for name in self._headers:
            value = sent.get(name)
            if name not in documented:
                if value is not None:
                    yield f"the header {name} is not documented"
                continue
            header = self._components["headers"][name]
            if value is None:
                if header["required"]:
                    yield f"the header {name} is missing"
            elif not re.search(str(header["schema"].get("pattern", "")), value):
                yield f"the header {name} is {value!r}"


def own_codes(operation: str, status: int, body: bytes) -> Iterator[Refused]:
    """The codes of a 409, and of a 422 those of the fields that break a rule which their schema does not say."""
    # Here, because the tests of the domain start without the web framework.
    from mediation_api.http.problems import SHAPE_CODES  # noqa: PLC0415

    if status == 409:
        yield operation, "409", json.loads(body)["code"]
    elif status == 422:
        codes = {error["code"] for error in json.loads(body)["errors"]} - SHAPE_CODES
        yield from ((operation, "422", code) for code in codes)


def unlisted(operation: str, authorization: str, status: int, body: bytes) -> Iterator[str]:
    """What of an answer is a rule that is not said to this caller: see refusals.py."""
    for _, *refusal in own_codes(operation, status, body):
        role, refused = role_of(authorization), " ".join(refusal)
        if refused not in reviewed()[operation].get(role, ()):
            yield f"{refused} is not listed for {role}"


@cache
def contract() -> Contract:
    """The committed contract."""
    # Here, because the tests of the domain start without the web framework.
    from tests.openapi.reading import document, written_out  # noqa: PLC0415

    from mediation_api.contract.headers import EVERYWHERE, HEADERS  # noqa: PLC0415

    whole: Node = written_out(document())  # type: ignore[assignment] # nothing but dictionaries is asked for
    _close_open_lists(whole["components"]["schemas"])  # type: ignore[arg-type] # as above
    _close_objects(whole["components"]["schemas"])  # type: ignore[arg-type] # as above
    return Contract(whole, HEADERS.keys(), EVERYWHERE)


def _close_open_lists(schemas: dict[str, dict[str, object]]) -> None:
    """Let only what the contract lists be answered: clients expect more than that, and this version has no more."""
    for schema in schemas.values():
        values = schema.get("x-extensible-enum")
        if isinstance(values, list):
            schema["enum"] = values


def _close_objects(schemas: dict[str, dict[str, object]]) -> None:
    """Let an answer hold only the fields that the contract lists: clients ignore others, so no other test would see."""
    for schema in schemas.values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)


def wrong_audience(authorization: str, response: httpx.Response, body: bytes) -> Iterator[str]:
    """What of an answer is in the form of another audience than that of the token."""
    if b'"audience":' not in body or not response.headers["content-type"].endswith("json"):
        return
    role = role_of(authorization)
    answered = json.loads(body)
    for each in (answered, *answered.get("items", ())):
        if each.get("audience", AUDIENCES[role]) != AUDIENCES[role]:
            yield f"the form for {each['audience']} in place of that for {AUDIENCES[role]}"


# The client asks at each request whether another event loop runs, by looking for a library that is not there. That
# takes longer than much of what is tested; this says so at once.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type] # what Python itself takes for "not there"


class Checked(httpx.ASGITransport):
    """Calls the application in this process, and fails the test whose answer the contract does not know."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call, and hold the answer against the contract."""
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([part async for part in response.stream])
        response.stream = httpx.ByteStream(body)
        operation = contract().operation(request.method, request.url.path)
        if operation is not None:
            found = list(contract().faults(operation, request.method, response, body))
            SEEN.add((operation.name, str(response.status_code)))
            authorization = request.headers.get("Authorization", "")
            REFUSALS.update(own_codes(operation.name, response.status_code, body))
            found += unlisted(operation.name, authorization, response.status_code, body)
            if response.is_success:
                query = request.url.params
                census.USED.update(census.modes().used(operation.name, query, await request.aread()))
                found += wrong_audience(authorization, response, body)
            assert not found, (
                f"{operation.name} {response.status_code}: {'; '.join(found)}. "
                "If the route is right, document this where it is declared and run `make generate`."
            )
        return response
