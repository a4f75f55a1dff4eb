"""The case: one attempt to mediate one complaint, and who takes part in it.

A method changes nothing: it returns the events that follow, or raises a refusal. The rules about eligibility, contact,
assignments, sessions, agreements, reopening and closing are in modules of their own, which import this one; what they
share (transitions, closing) is here.

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
    LimitReached,
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
    MOST_PAUSES,
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
    pause_count: int = 0
    """How many pauses were recorded."""
    screening_outdated: bool = False
    """Whether an answer that screening depends on has changed since."""

    # ── who is in the case ─────────────────────────────────────────────────────────────────────────────────────────

    def participant(self, party_id: UUID) -> Participant:
        """Return the party as a participant. Raises NotFound: it is not a party to this case."""
        for each in self.participants:
            if each.party_id == party_id:
                return each
        raise NotFound

    def side(self, side: Side) -> tuple[Participant, ...]:
        """Return those of `side` who may still mediate."""
        return tuple(p for p in self.participants if p.side is side and self.may_still_mediate(p))

    def may_still_mediate(self, participant: Participant) -> bool:
        """Return whether a participant has not left and has an open part, or no part yet, or nobody active opposite.

        A case that was read for a party has no parts before `ready`; then nobody's parts count as closed.
        """
        if participant.standing.has_left:
            return False
        own = [part for part in self.parts if part.concerns(participant.party_id)]
        opposite = any(p.side is not participant.side and p.is_active for p in self.participants)
        return not own or not opposite or any(part.is_open for part in own)

    @property
    def open_parts(self) -> tuple[Part, ...]:
        """The parts that are still being mediated."""
        return tuple(part for part in self.parts if part.is_open)

    @property
    def covered_parts(self) -> tuple[Part, ...]:
        """The open parts whose two people signed, and were both present in one completed session."""
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
        """Return the current text of this kind, if there is one."""
        return next((a for a in self.agreements if a.kind is kind and not a.superseded), None)

    def require_open(self) -> None:
        """Raise CaseNotOpen if the case is closed."""
        if not self.state.is_open:
            raise CaseNotOpen

    def require_state(self, *states: State) -> None:
        """Raise CaseNotOpen if the case is closed, or StateConflict if it is in none of these states."""
        self.require_open()
        if self.state not in states:
            raise StateConflict

    def require_no_session(self) -> None:
        """Raise CaseNotOpen if the case is closed, or SessionInProgress if a session is under way."""
        self.require_open()
        if self.state is State.IN_SESSION:
            raise SessionInProgress

    def transition(self, trigger: Trigger) -> events.StateChanged:
        """Return the transition that `trigger` causes. Raises CaseNotOpen, StateConflict: as `lifecycle.target_of`."""
        return events.StateChanged(
            trigger=trigger, from_state=self.state, to_state=lifecycle.target_of(self.state, trigger)
        )

    # ── taking part and leaving ────────────────────────────────────────────────────────────────────────────────────

    def guardian_agrees(
        self, party_id: UUID, *, disclosure: Text, channel: Channel, guardian_consent_id: UUID
    ) -> Events:
        """Record that the guardian of a minor agrees. The minor's own answer is separate.

        Raises:
            NotAsked: the minor has not been asked yet.
            PartyLeft: the minor has left the case.
            NotAMinor: the party is not a minor.
            GuardianMissing: no guardian is on file.
            GuardianAgreed: this guardian's consent is on record already.
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
        """Record one party's answer to the disclosure. A party that declines does not decide for the others.

        Raises:
            NotAsked, AlreadyAnswered, PartyLeft: the party cannot answer now.
            GuardianMissing: a minor agrees, and no guardian's consent is on record.
        """
        party = self.participant(party_id)
        # Before the case's state: somebody who has left must not learn from a refusal whether the others go on.
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
        consent = events.ConsentGiven(
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
        return (consent, *followed, *binding(party, by))

    def withdraw(self, party_id: UUID, *, channel: Channel, withdrawal_id: UUID, by: Actor) -> Events:
        """Record that a party withdraws: at any time before the close, and without a reason.

        It is idempotent: a second withdrawal returns no events. A party that declined or lapsed may withdraw even after
        the close, so that the response does not reveal whether the others go on.

        Raises:
            NotInSession: a mediator records it, and no session is under way.
            CaseNotOpen: the case closed while the party was still in it.
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
        """Add a party of the complaint to the case, which goes back to asking that party's side.

        A closed case does not change; the party joins the next one.

        Raises:
            StateConflict: a session is under way, or the case is concluded.
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
        transition = self.transition(trigger)
        return (
            *joined,
            *self.called_off(CancelReason.PARTY_ADDED),
            *self.ask(transition, (newcomer,)),
        )

    # ── running and closing ────────────────────────────────────────────────────────────────────────────────────────

    def coordinate(self, coordinator: str, *, before: str | None) -> Events:
        """Assign the case to a coordinator, by the subject of that person's token; unless it is the one `before`."""
        if coordinator == before:
            return ()
        self.require_open()
        return (events.CoordinatorAssigned(coordinator=coordinator),)

    def pause(self, pause: target.Pause, *, pause_id: UUID, policy: Policy) -> Events:
        """Record why the case pauses. A pause never moves `due_on`.

        Raises:
            Invalid: the pause is too long.
            LimitReached: the case has as many pauses as it may have.
        """
        self.require_open()
        if self.pause_count >= MOST_PAUSES:
            raise LimitReached
        if (pause.ends_on - pause.starts_on).days >= policy.pause_max_days:
            raise Invalid(
                "/ends_on", "pause-too-long", "A pause lasts {days} days at most.", days=policy.pause_max_days
            )
        return (
            events.TargetPaused(
                pause_id=pause_id, reason=pause.reason, starts_on=pause.starts_on, ends_on=pause.ends_on
            ),
        )

    def after_session(self, trigger: Trigger) -> Trigger:
        """Return what calling off or adjourning a session triggers: `trigger`, unless an earlier one covers a part."""
        return Trigger.FURTHER_SESSION_CALLED_OFF if self.covered_parts else trigger

    def close(self, trigger: Trigger, *, lapse_reason: LapseReason | None = None) -> Events:
        """Close the case, and return every open part. A scheduled session is cancelled, one in progress is ended."""
        transition = self.transition(trigger)
        ended: Events = ()
        live = self.live_session
        if live is not None and live.state is SessionState.IN_PROGRESS and trigger is not Trigger.ENDED_BY_MEDIATOR:
            reason = EndReason.LAPSE if trigger is Trigger.SIDE_LAPSED else EndReason.WITHDRAWAL
            ended = (events.SessionEnded(session_id=live.session_id, reason=reason),)
        elif trigger is not Trigger.ENDED_BY_MEDIATOR:
            ended = self.called_off(CancelReason.CASE_CLOSED)
        closed = events.CaseClosed(state=transition.to_state, agreement_reached=None, lapse_reason=lapse_reason)
        return (*parts.returned(self.parts), *ended, transition, closed)

    def called_off(self, reason: CancelReason) -> Events:
        """Cancel the scheduled session, if there is one. The caller adds the transition."""
        live = self.live_session
        if live is None or live.state is not SessionState.SCHEDULED:
            return ()
        return (events.SessionCancelled(session_id=live.session_id, reason=reason),)

    def follow_up(self, changed: Participant, emptied: Trigger, lapse_reason: LapseReason | None = None) -> Events:
        """Return what follows when a participant answered or left.

        The open parts of somebody who leaves are returned. The case closes with `emptied` when their side has nobody
        left; otherwise it goes on if the others waited for this participant alone.
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
        """Return what follows once everybody of a side agreed: the officers are asked, then the case is `ready`.

        A concluded case is `ready` again when no open part is covered by a completed session any more.
        """
        if self.state is State.CONFIRMING and _all_agreed(self.side(Side.COMPLAINANT)):
            transition = self.transition(Trigger.COMPLAINANTS_ANSWERED)
            asked = self.ask(transition, self.participants)
            return (*asked, *replace(self, state=transition.to_state).next_steps())
        # While officers are asked every complainant has agreed: adding another takes the case back to `confirming`.
        if self.state is State.ASKING and _all_agreed(self.side(Side.OFFICER)):
            return (self.transition(Trigger.OFFICERS_ANSWERED),)
        if self.state is State.CONCLUDED and not self.covered_parts:
            return (self.transition(Trigger.COVERED_PARTS_RETURNED),)
        return ()

    def ask(self, transition: events.StateChanged, among: Iterable[Participant]) -> Events:
        """Return the transition, and ask those of `among` who wait on its side: complainants or, later, officers."""
        asks = {State.CONFIRMING: {Side.COMPLAINANT}, State.ASKING: {Side.OFFICER}}[transition.to_state]
        return (
            transition,
            *(
                events.PartyAsked(party_id=p.party_id)
                for p in among
                if p.side in asks and p.standing is Standing.WAITING
            ),
        )


def _all_agreed(side: tuple[Participant, ...]) -> bool:
    """Return whether everybody of a side agreed. A side that a removal left empty waits for the right person."""
    return bool(side) and all(p.standing is Standing.AGREED for p in side)


def binding(party: Participant, by: Actor) -> Events:
    """Return the event that binds an officer's party to the token subject of the officer's first own act, if any.

    What staff record binds nothing, since they are not that officer. A complainant's token comes from an access code.
    """
    if by.role is not Role.OFFICER or party.identity_bound or party.standing is Standing.REMOVED:
        return ()
    return (events.IdentityBound(party_id=party.party_id),)
