"""The case: one attempt to mediate one complaint, and who takes part in it.

Every method decides and changes nothing: it returns the events that follow, or refuses in words. The rules about
eligibility, contact, assignments, sessions, agreements, reopening and closing are modules of their own, which import
this one; what they share (the transitions, the close) is here.

Source of the rules: docs/rules.md, "The lifecycle".
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from mediation_api.domain import events, lifecycle, parts, target
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.case_children import Agreement, Assignment, ContactAttempt, Session
from mediation_api.domain.errors import (
    AlreadyAnswered,
    CaseNotOpen,
    GuardianAgreed,
    GuardianMissing,
    Invalid,
    NotAMinor,
    NotAsked,
    NotFound,
    NotInSession,
    PartyLeft,
    SessionInProgress,
    StateConflict,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import State, Trigger
from mediation_api.domain.participants import Approval, Attendee, Participant
from mediation_api.domain.parts import Part
from mediation_api.domain.policy import Policy
from mediation_api.domain.texts import Text
from mediation_api.domain.values import (
    AgreementKind,
    AssignmentState,
    CancelReason,
    Channel,
    Decision,
    EndReason,
    LapseReason,
    SessionState,
    Side,
    Standing,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One attempt to mediate one complaint, with everything that belongs to it."""

    case_id: UUID
    complaint_id: UUID
    state: State
    requested_on: date
    participants: tuple[Participant, ...]
    parts: tuple[Part, ...] = ()
    attendees: tuple[Attendee, ...] = ()
    approvals: tuple[Approval, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    sessions: tuple[Session, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    contact_attempts: tuple[ContactAttempt, ...] = ()
    screening_outdated: bool = False
    """Something became known after screening that screening looks at."""

    # ── who is in the case ─────────────────────────────────────────────────────────────────────────────────────────

    def participant(self, party_id: UUID) -> Participant:
        """The party in this case.

        Raises:
            NotFound: it is not a party to this case.
        """
        for each in self.participants:
            if each.party_id == party_id:
                return each
        raise NotFound

    def side(self, side: Side) -> tuple[Participant, ...]:
        """Those of `side` who are active."""
        return tuple(p for p in self.participants if p.side is side and self.may_still_mediate(p))

    def may_still_mediate(self, participant: Participant) -> bool:
        """Whether somebody has not left, and has an open part, or waits for somebody to have one with.

        Of whom no part is known it is not known either that all were closed: a party is shown its own from `ready` on.
        """
        if participant.standing.has_left:
            return False
        own = [part for part in self.parts if part.concerns(participant.party_id)]
        opposite = any(p.side is not participant.side and p.is_active for p in self.participants)
        return not own or not opposite or any(part.is_open for part in own)

    @property
    def open_parts(self) -> tuple[Part, ...]:
        """What is still being mediated."""
        return tuple(part for part in self.parts if part.is_open)

    @property
    def covered_parts(self) -> tuple[Part, ...]:
        """The open parts whose people both signed, and were present in one session that was completed."""
        return tuple(part for part in self.open_parts if parts.is_covered(part, self.sessions, self.agreements))

    @property
    def mediator(self) -> Assignment | None:
        """The assignment of the mediator who accepted and declared no conflict."""
        return next((a for a in self.assignments if a.state is AssignmentState.ACCEPTED), None)

    @property
    def live_session(self) -> Session | None:
        """The session that is scheduled or in progress; there is at most one."""
        return next((s for s in self.sessions if s.state.is_live), None)

    def agreement(self, kind: AgreementKind) -> Agreement | None:
        """The text of this kind that counts, if there is one."""
        return next((a for a in self.agreements if a.kind is kind and not a.superseded), None)

    def require_open(self) -> None:
        """Raises CaseNotOpen: nothing more is decided in a closed case."""
        if not self.state.is_open:
            raise CaseNotOpen

    def require_state(self, *states: State) -> None:
        """Raises CaseNotOpen; StateConflict: the case is in none of these states."""
        self.require_open()
        if self.state not in states:
            raise StateConflict

    def require_no_session(self) -> None:
        """Raises CaseNotOpen; SessionInProgress: a session is under way, which is adjourned first."""
        self.require_open()
        if self.state is State.IN_SESSION:
            raise SessionInProgress

    def transition(self, trigger: Trigger) -> events.StateChanged:
        """The move that the table gives for `trigger`; it raises what `lifecycle.target_of` raises."""
        return events.StateChanged(trigger=trigger, source=self.state, target=lifecycle.target_of(self.state, trigger))

    # ── taking part and leaving ────────────────────────────────────────────────────────────────────────────────────

    def guardian_agrees(
        self, party_id: UUID, *, disclosure: Text, channel: Channel, guardian_consent_id: UUID
    ) -> Events:
        """Record that the guardian of a minor told the office that they agree. The minor answers for itself.

        Raises:
            NotAsked, PartyLeft: it is not this party's turn.
            NotAMinor: the party answers alone.
            GuardianMissing: no guardian is on file who could agree.
            GuardianAgreed: this guardian did before.
        """
        party = self.participant(party_id)
        if not party.is_active:
            raise PartyLeft
        self.require_open()
        if not party.minor:
            raise NotAMinor
        if not party.guardian_on_file:
            raise GuardianMissing
        if party.guardian_consent_id is not None:
            raise GuardianAgreed
        if party.standing is Standing.WAITING:
            raise NotAsked
        return (
            events.GuardianConsented(
                guardian_consent_id=guardian_consent_id,
                party_id=party_id,
                disclosure_sha256=disclosure.sha256,
                disclosure_version=disclosure.version,
                disclosure_language=disclosure.languages[0],
                disclosure=disclosure,
                channel=channel,
            ),
        )

    def answer(
        self, party_id: UUID, decision: Decision, *, disclosure: Text, channel: Channel, consent_id: UUID, by: Actor
    ) -> Events:
        """Record one party's answer to the disclosure it was shown. One refusal never binds the rest.

        Raises:
            NotAsked, AlreadyAnswered, PartyLeft: it is not this party's turn.
            GuardianMissing: a minor agrees, and the office has no guardian's consent on record.
        """
        party = self.participant(party_id)
        # Before the state of the case: who has left must not learn from a refusal whether the others go on.
        if party.standing is Standing.DECLINED:
            raise AlreadyAnswered
        if not party.is_active:
            raise PartyLeft
        self.require_open()
        if party.standing is Standing.WAITING:
            raise NotAsked
        if party.standing is Standing.AGREED:
            raise AlreadyAnswered
        agrees = decision is Decision.AGREED
        guardian_consent_id = party.guardian_consent_id if agrees and party.minor else None
        if agrees and party.minor and not (party.guardian_on_file and guardian_consent_id):
            raise GuardianMissing
        given = events.ConsentGiven(
            consent_id=consent_id,
            party_id=party_id,
            decision=decision,
            disclosure_sha256=disclosure.sha256,
            disclosure_version=disclosure.version,
            disclosure_language=disclosure.languages[0],
            disclosure=disclosure,
            channel=channel,
            guardian_consent_id=guardian_consent_id,
            replaces=party.consent_id,
        )
        standing = Standing.AGREED if agrees else Standing.DECLINED
        followed = self.follow_up(replace(party, standing=standing), Trigger.SIDE_DECLINED)
        return (given, *followed, *binding(party, by))

    def withdraw(self, party_id: UUID, *, channel: Channel, withdrawal_id: UUID, by: Actor) -> Events:
        """Let a party leave: at any time before the close, without a reason, and as often as it is said.

        A second withdrawal of the same party answers with no events: it has already left. One that declined or lapsed
        may say so whatever became of the case, so that the answer does not tell whether the others go on.

        Raises:
            NotInSession: a mediator says so for a party, and no session is under way.
            CaseClosed: the case closed before the party said so.
        """
        party = self.participant(party_id)
        if party.withdrawal_id is not None:
            return ()
        if channel is Channel.SESSION and self.state is not State.IN_SESSION:
            raise NotInSession
        left = events.PartyWithdrew(withdrawal_id=withdrawal_id, party_id=party_id, channel=channel)
        if not party.is_active:
            return (left, *binding(party, by))
        self.require_open()
        followed = self.follow_up(replace(party, standing=Standing.WITHDRAWN), Trigger.SIDE_WITHDREW)
        return (left, *followed, *binding(party, by))

    def join(self, party_id: UUID, side: Side) -> Events:
        """Take in a party that was added to the complaint. The gate opens again only when it has answered.

        A case that closed in the meantime takes in nobody; the party waits for the next one.

        Raises:
            StateConflict: a session is under way or over; adjourn first.
        """
        if not self.state.is_open:
            return ()
        others = {p.party_id for p in self.participants if p.side is not side and p.is_active}
        pairs = ((party_id, each) if side is Side.COMPLAINANT else (each, party_id) for each in sorted(others))
        joined: Events = (events.PartyJoined(party_id=party_id, side=side), *parts.opened(pairs))
        newcomer = Participant(party_id=party_id, side=side)
        trigger = Trigger.COMPLAINANT_ADDED if side is Side.COMPLAINANT else Trigger.OFFICER_ADDED
        self.require_state(State.SCREENING, State.CONFIRMING, State.ASKING, State.READY, State.SCHEDULED)
        if self.state is State.SCREENING or (side is Side.OFFICER and self.state is State.CONFIRMING):
            return joined
        if self.state is State.CONFIRMING or (side is Side.OFFICER and self.state is State.ASKING):
            return (*joined, events.PartyAsked(party_id=party_id))
        move = self.transition(trigger)
        return (
            *joined,
            *self.called_off(CancelReason.PARTY_ADDED),
            *self.ask(move, (newcomer,)),
        )

    # ── running and closing ────────────────────────────────────────────────────────────────────────────────────────

    def coordinate(self, coordinator: str) -> Events:
        """Say who runs the case: the subject of that person's token."""
        self.require_open()
        return (events.CoordinatorAssigned(coordinator=coordinator),)

    def pause(self, pause: target.Pause, *, pause_id: UUID, policy: Policy) -> Events:
        """Note why the target cannot be worked on for a while. It is shown, and never moves `due_on`."""
        self.require_open()
        if (pause.ends_on - pause.starts_on).days >= policy.pause_max_days:
            raise Invalid("/ends_on", "pause-too-long", f"A pause lasts {policy.pause_max_days} days at most.")
        return (
            events.TargetPaused(
                pause_id=pause_id, reason=pause.reason, starts_on=pause.starts_on, ends_on=pause.ends_on
            ),
        )

    def after_session(self, trigger: Trigger) -> Trigger:
        """What a session that is called off or adjourned brings about: `trigger`, if no earlier one covers a part."""
        return Trigger.FURTHER_SESSION_CALLED_OFF if self.covered_parts else trigger

    def close(self, trigger: Trigger, *, lapse_reason: LapseReason | None = None) -> Events:
        """Move to a closed state, and return every open part. A session ahead is cancelled, one under way ends."""
        move = self.transition(trigger)
        ended: Events = ()
        live = self.live_session
        if live is not None and live.state is SessionState.IN_PROGRESS and trigger is not Trigger.ENDED_BY_MEDIATOR:
            reason = EndReason.LAPSE if trigger is Trigger.SIDE_LAPSED else EndReason.WITHDRAWAL
            ended = (events.SessionEnded(session_id=live.session_id, reason=reason),)
        elif trigger is not Trigger.ENDED_BY_MEDIATOR:
            ended = self.called_off(CancelReason.CASE_CLOSED)
        closed = events.CaseClosed(outcome=move.target, agreement_reached=None, lapse_reason=lapse_reason)
        return (*parts.returned(self.parts), *ended, move, closed)

    def called_off(self, reason: CancelReason) -> Events:
        """What cancels the session that is still ahead, if there is one. The caller moves the state."""
        live = self.live_session
        if live is None or live.state is not SessionState.SCHEDULED:
            return ()
        return (events.SessionCancelled(session_id=live.session_id, reason=reason),)

    def follow_up(self, changed: Participant, emptied: Trigger, lapse_reason: LapseReason | None = None) -> Events:
        """What follows when a participant answered or left.

        Whoever leaves takes their open parts along. The case closes when no open part is left; otherwise it may be
        that the others waited for this.
        """
        participants = tuple(changed if p.party_id == changed.party_id else p for p in self.participants)
        after = replace(self, participants=participants)
        if not changed.standing.has_left:
            return after.next_steps()
        returned = parts.returned(self.parts, changed.party_id)
        after = replace(after, parts=parts.after_returning(self.parts, changed.party_id))
        if not after.side(changed.side):
            return (*returned, *after.close(emptied, lapse_reason=lapse_reason))
        return (*returned, *after.next_steps())

    def next_steps(self) -> Events:
        """The moves that follow once nobody is left unanswered: from complainants to officers, then to ready.

        A concluded case is ready for another session when no open part is covered by one any more.
        """
        if self.state is State.CONFIRMING and _all_agreed(self.side(Side.COMPLAINANT)):
            move = self.transition(Trigger.COMPLAINANTS_ANSWERED)
            asked = self.ask(move, self.participants)
            return (*asked, *replace(self, state=move.target).next_steps())
        # While officers are asked every complainant here has agreed: a new one takes the case back.
        if self.state is State.ASKING and _all_agreed(self.side(Side.OFFICER)):
            return (self.transition(Trigger.OFFICERS_ANSWERED),)
        if self.state is State.CONCLUDED and not self.covered_parts:
            return (self.transition(Trigger.COVERED_PARTS_RETURNED),)
        return ()

    def ask(self, move: events.StateChanged, among: Iterable[Participant]) -> Events:
        """The move, and whom it makes the office ask: complainants first, officers after a complainant agreed."""
        asks = {State.CONFIRMING: {Side.COMPLAINANT}, State.ASKING: {Side.OFFICER}}[move.target]
        return (
            move,
            *(
                events.PartyAsked(party_id=p.party_id)
                for p in among
                if p.side in asks and p.standing is Standing.WAITING
            ),
        )


def _all_agreed(side: tuple[Participant, ...]) -> bool:
    """Whether everybody of a side agreed. A side that a removal left empty waits for the right person."""
    return bool(side) and all(p.standing is Standing.AGREED for p in side)


def binding(party: Participant, by: Actor) -> Events:
    """Bind an officer's party to the subject of the token with which the officer first acts.

    What staff record binds nothing: they are not that officer. A complainant is bound by the access code.
    """
    if by.role is not Role.OFFICER or party.identity_bound or party.standing is Standing.REMOVED:
        return ()
    return (events.IdentityBound(party_id=party.party_id),)
