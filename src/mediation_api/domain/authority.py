"""Who may speak for whom, and how: the channel that somebody comes by, who of the complainants files, and own affairs.

    a party          `portal`    for itself
    a mediator       `session`   for a party that withdraws in the session that they lead, and for nothing else
    staff            the others  for whoever called, wrote or came
    a program        `integration`, of the complaints that it files

Source: docs/rules.md, "Who may do what".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from mediation_api.domain.access import Actor, Role
from mediation_api.domain.errors import DirectorRequired, Invalid, SecondPersonRequired
from mediation_api.domain.values import STAFF_CHANNELS, Approver, Channel, Side


def channel_of(said: Channel | None, *, by: Actor) -> Channel:
    """The channel by which `by` answers, or leaves, for itself or on behalf of somebody.

    Raises:
        Invalid: staff do not say which, or anybody names one that is not theirs.
    """
    if by.is_party:
        if said not in {None, Channel.PORTAL}:
            raise Invalid("/channel", "staff-only", "A party itself always comes through the portal.")
        return Channel.PORTAL
    if by.role is Role.MEDIATOR:
        if said not in {None, Channel.SESSION}:
            raise Invalid("/channel", "not-your-channel", "A mediator records what is said in a session.")
        return Channel.SESSION
    return _of_staff(said, "Staff say how it reached them.")


def filing_channel(said: Channel | None, *, by: Actor) -> Channel:
    """The channel of a complaint that `by` files. Raises Invalid: as `channel_of`."""
    implied = {Role.PUBLIC: Channel.PORTAL, Role.INTEGRATION: Channel.INTEGRATION}.get(by.role)
    if implied is None:
        return _of_staff(said, "Staff say how the complaint reached the office.")
    if said not in {None, implied}:
        raise Invalid("/channel", "staff-only", "Only staff choose the channel.")
    return implied


def _of_staff(said: Channel | None, detail: str) -> Channel:
    if said is None:
        raise Invalid("/channel", "required", detail)
    if said not in STAFF_CHANNELS:
        raise Invalid("/channel", "not-your-channel", "This is no channel by which anything reaches staff.")
    return said


def filer(sides: Sequence[Side], said: int | None, *, is_said: bool, by: Actor) -> int | None:
    """The position of the party who files, and to whom alone an access code is given; None for somebody else.

    A member of the public who does not say so is the only complainant. Whoever files for others, a representative, the
    office or a program, gets no code unless they name the complainant that they are speaking with: everybody else's
    is issued by the office once it has reached that person.

    Raises:
        Invalid: several complainants, and it is not said which of them files; or no complainant is named.
    """
    complainants = [number for number, side in enumerate(sides) if side is Side.COMPLAINANT]
    if is_said:
        if said is not None and said not in complainants:
            raise Invalid("/filed_by", "complainants-only", "Who files is one of the complainants, by position.")
        return said
    if by.role is not Role.PUBLIC:
        return None
    if len(complainants) > 1:
        raise Invalid("/filed_by", "required", "There are several complainants: say which of them files.")
    return complainants[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSource:
    """Who gave an approval, when and how, as staff enter it; nothing of it for one's own."""

    by: str | None = None
    on: date | None = None
    channel: Channel | None = None

    def require_fit(self, approver: Approver, *, by: Actor, today: date) -> None:
        """Refuse an approval that `by` may not enter, or that does not say whose it is.

        Raises:
            DirectorRequired: a director's approval comes from a director's own token.
            Invalid: a director speaks for somebody; of another approver something is missing, or lies ahead.
        """
        told = {"/given_by": self.by, "/given_on": self.on, "/channel": self.channel}
        if approver is Approver.DIRECTOR:
            if by.role is not Role.DIRECTOR:
                raise DirectorRequired
            for pointer, value in told.items():
                if value is not None:
                    raise Invalid(pointer, "not-for-director", "A director approves in their own name, by their token.")
            return
        for pointer, value in told.items():
            if value is None:
                raise Invalid(pointer, "required", "Say who gave the approval, when and how.")
        _of_staff(self.channel, "")
        if self.on is not None and self.on > today:
            raise Invalid("/given_on", "in-the-past", "An approval was given today or before.")


def require_other_than(subject: str, *, by: Actor) -> None:
    """Refuse staff who decide about themselves as a mediator.

    Raises:
        SecondPersonRequired: the entry of the roster is the caller's own, under another role.
    """
    if by.role is not Role.MEDIATOR and by.subject == subject:
        raise SecondPersonRequired
