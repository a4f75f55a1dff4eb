"""Who acts for whom, and by which channel; which complainant files; who may not decide about themselves.

    caller           channel        acts
    a party          `portal`       for itself
    a mediator       `session`      for a party that withdraws in their session, and for nothing else
    staff            the others     for whoever called, wrote or came
    an integration   `integration`  for the person whose complaint it files

Source: docs/rules.md, "Who may do what".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import DirectorRequired, Invalid, SecondPersonRequired
from mediation_api.domain.values import STAFF_CHANNELS, Approver, Channel, Side


def channel_of(requested: Channel | None, *, by: Actor) -> Channel:
    """Return the channel by which `by` answers or withdraws, for itself or on behalf of a party.

    Raises:
        Invalid: staff name no channel, or the requested one is not the caller's.
    """
    if by.is_party:
        if requested not in {None, Channel.PORTAL}:
            raise Invalid("/channel", "staff-only", "A party's own channel is always the portal.")
        return Channel.PORTAL
    if by.role is Role.MEDIATOR:
        if requested not in {None, Channel.SESSION}:
            raise Invalid("/channel", "not-your-channel", "A mediator's channel is always the session.")
        return Channel.SESSION
    return _of_staff(requested, "Staff must name the channel by which it reached them.")


def filing_channel(requested: Channel | None, *, by: Actor) -> Channel:
    """Return the channel of a complaint that `by` files. Raises Invalid: as `channel_of`."""
    implied = {Role.PUBLIC: Channel.PORTAL, Role.INTEGRATION: Channel.INTEGRATION}.get(by.role)
    if implied is None:
        return _of_staff(requested, "Staff must name the channel by which the complaint reached them.")
    if requested not in {None, implied}:
        raise Invalid("/channel", "staff-only", "Only staff choose the channel.")
    return implied


def _of_staff(requested: Channel | None, detail: str) -> Channel:
    if requested is None:
        raise Invalid("/channel", "required", detail)
    _require_of_staff(requested)
    return requested


def _require_of_staff(channel: Channel | None) -> None:
    if channel not in STAFF_CHANNELS:
        raise Invalid("/channel", "not-your-channel", "Nothing reaches staff by this channel.")


def filer(sides: Sequence[Side], filed_by: int | None, *, is_set: bool, by: Actor) -> int | None:
    """Return the position of the party who files, the only one to get an access code; None if none of them files.

    Without `filed_by` a member of the public is taken for the only complainant. Representatives, staff and integrations
    get no code unless they name the complainant that they are speaking with. The office issues the codes of all other
    complainants once it has reached them.

    Args:
        sides: The side of each party, by position.
        filed_by: The position in the request. Null names nobody, as a representative does.
        is_set: Whether the request has the field at all.
        by: Who sends the request.

    Raises:
        Invalid: there are several complainants and the field is missing, or it names somebody else.
    """
    complainants = [number for number, side in enumerate(sides) if side is Side.COMPLAINANT]
    if is_set:
        if filed_by is not None and filed_by not in complainants:
            raise Invalid("/filed_by", "complainants-only", "This is the position of one of the complainants.")
        return filed_by
    if by.role is not Role.PUBLIC:
        return None
    if len(complainants) > 1:
        raise Invalid("/filed_by", "required", "There are several complainants: say which of them files.")
    return complainants[0]


def require_own_mail(allowed: Sequence[bool], filer: int | None, *, by: Actor) -> None:
    """Refuse a member of the public who allows mail to somebody else, whose address it may not even be.

    Args:
        allowed: whether mail to each party is allowed, by position.
        filer: the position of the party who files; None if none of them does.
        by: who sends the request.

    Raises:
        Invalid: mail to another party than the filer is allowed.
    """
    if by.role is not Role.PUBLIC:
        return
    for number, is_allowed in enumerate(allowed):
        if is_allowed and number != filer:
            raise Invalid(f"/parties/{number}/email_allowed", "staff-only", "Only staff and integrations give this.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSource:
    """Who gave an approval, when and how, as staff enter it; empty for a director's own approval."""

    by: str | None = None
    on: date | None = None
    channel: Channel | None = None

    def require_fit(self, approver: Approver, *, by: Actor, today: date) -> None:
        """Check that `by` may enter an approval of `approver` from this source.

        Raises:
            DirectorRequired: the approver is a director, and the caller is not.
            Invalid: a director's approval names a source; another's does not name all of it, or a day in the future.
        """
        fields = {"/given_by": self.by, "/given_on": self.on, "/channel": self.channel}
        if approver is Approver.DIRECTOR:
            if by.role is not Role.DIRECTOR:
                raise DirectorRequired
            for pointer, value in fields.items():
                if value is not None:
                    raise Invalid(pointer, "not-for-director", "A director approves in their own name, by their token.")
            return
        for pointer, value in fields.items():
            if value is None:
                raise Invalid(pointer, "required", "Say who gave the approval, when and how.")
        _require_of_staff(self.channel)
        if self.on is not None and self.on > today:
            raise Invalid("/given_on", "in-the-future", "An approval cannot be given in the future.")


def require_other_than(subject: str, *, by: Actor) -> None:
    """Refuse staff who decide about their own entry of the roster.

    Raises:
        SecondPersonRequired: `subject` is the caller's own, who calls in another role than mediator.
    """
    if by.role is not Role.MEDIATOR and by.subject == subject:
        raise SecondPersonRequired
