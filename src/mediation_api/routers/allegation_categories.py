"""The city's categories of allegations."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mediation_api.domain.access import EVERYBODY
from mediation_api.http.dependencies import Context, Scope
from mediation_api.http.fields import Out
from mediation_api.http.middleware import StrictRoute
from mediation_api.http.pagination import ListOut
from mediation_api.http.routes import Operation
from mediation_api.routers.office import MOST_LANGUAGES

router = APIRouter(prefix="/v1/allegation-categories", route_class=StrictRoute, tags=["office"])


class LabelOut(Out):
    """The words for a category in one language."""

    language: str = Field(description="The BCP 47 tag of the language, in lower case.", examples=["en"])
    text: str = Field(description="The words.", examples=["Rude or disrespectful words or behavior"])


class AllegationCategoryOut(Out):
    """A category that a complaint may name."""

    code: str = Field(description="What `allegations` of a complaint contains.", examples=["discourtesy"])
    labels: Annotated[list[LabelOut], Field(max_length=MOST_LANGUAGES)] = Field(
        description="The words for it in each language of the list, English first."
    )


class AllegationCategoryList(ListOut[AllegationCategoryOut]):
    """All categories, in the city's order."""


@router.get("", summary="The categories of allegations")
@Operation("listAllegationCategories", access=EVERYBODY, oauth_scope=None, uses_database=False)
async def list_allegation_categories(service: Context, _scope: Scope) -> AllegationCategoryList:
    """List the categories that a complaint may name, with words for people. The list has one page."""
    items = [
        AllegationCategoryOut(
            code=code, labels=[LabelOut(language=language, text=text) for language, text in words.items()]
        )
        for code, words in service.allegation_categories.items()
    ]
    return AllegationCategoryList(items=items, next_cursor=None)
