"""The office, as everybody may know it."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mediation_api.domain.access import EVERYBODY
from mediation_api.http.dependencies import Context, Scope
from mediation_api.http.fields import Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.routes import Operation

router = APIRouter(prefix="/v1/office", route_class=StrictRoute, tags=["office"])

MOST_LANGUAGES = 100


class TextLanguageOut(Out):
    """A language in which the office has all texts that people read and sign."""

    language: str = Field(description="Its BCP 47 tag, in lower case.", examples=["es"])
    name: str = Field(description="Its name in the language itself, for a choice.", examples=["Español"])


class OfficeOut(Out):
    """The office that runs this service."""

    name: str = Field(description="As texts for people name it.", examples=["Independent Police Review"])
    phone: str | None = Field(
        description="The number under which people call. Null if the city has configured none.",
        examples=["+1 503 555 0199"],
    )
    time_zone: str = Field(
        description="The IANA name of the zone in which the office determines dates (`…_on`).",
        examples=["America/Los_Angeles"],
    )
    languages: Annotated[list[TextLanguageOut], Field(max_length=MOST_LANGUAGES)] = Field(
        description="English first. In other languages, an interpreter is needed."
    )


@router.get("", summary="The office")
@Operation("getOffice", access=EVERYBODY, oauth_scope=None, uses_database=False)
async def get_office(service: Context, _scope: Scope) -> OfficeOut:
    """Return how to reach the office, its time zone, and the languages of its texts."""
    translations = service.texts.current.translations
    return OfficeOut(
        name=service.office.name,
        phone=service.office.phone,
        time_zone=service.settings.time_zone,
        languages=[TextLanguageOut(language=tag, name=each.language_name) for tag, each in translations.items()],
    )
