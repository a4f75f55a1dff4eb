"""Corrections as JSON Merge Patch (RFC 7396): an absent field is unchanged, null clears it."""

from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from mediation_api.http.fields import In, Out, rule_broken


class Patch(In):
    """A correction. At least one field is required; fields in `kept` may be changed but not cleared."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    kept: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _is_a_change(self) -> Self:
        if not self.model_fields_set:
            raise rule_broken("nothing-to-change", "At least one field is needed.")
        if any(getattr(self, name) is None for name in self.kept & self.model_fields_set):
            raise rule_broken(
                "not-clearable", "These may be changed, but not cleared: {fields}.", fields=", ".join(sorted(self.kept))
            )
        return self

    def changes(self, current: Out) -> dict[str, object]:
        """Return the fields that were sent with another value than that in `current`, with their new values.

        So a client can send back what it has read, with fields that it may not correct or that this object cannot have.
        """
        sent = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {name: value for name, value in sent.items() if _plain(value) != _plain(getattr(current, name, _ABSENT))}


_ABSENT: Final = object()


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, BaseModel) else value
