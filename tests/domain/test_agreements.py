"""One exact text, and who signs it: a changed text voids what was signed."""

from dataclasses import replace

import pytest
from tests.domain.cases import (
    AGREEMENT,
    COORDINATOR,
    KIM,
    LEE,
    MAYA,
    MEDIATOR,
    NEW,
    NOOR,
    PAPER,
    ROSA,
    STRANGER,
    WITHDRAWN,
    agreement,
    complainant,
    in_session,
    interpreter,
    minor,
    officer,
    party,
    ready,
    resolution,
    scheduled,
)

from mediation_api.domain import agreements, events
from mediation_api.domain.access import Actor, Role
from mediation_api.domain.case import Case
from mediation_api.domain.errors import (
    AgreementNotCurrent,
    AgreementReached,
    AlreadySigned,
    CaseNotOpen,
    NotASigner,
    NotFound,
    PartyLeft,
    StateConflict,
    TextChanged,
)
from mediation_api.domain.events import Events
from mediation_api.domain.lifecycle import CLOSED, OPEN, State
from mediation_api.domain.texts import text_hash
from mediation_api.domain.values import AgreementKind, Method, Seat, SeatRole

CONFIDENTIALITY, RESOLUTION = AgreementKind
MEDIATES = Seat(SeatRole.MEDIATOR, MEDIATOR)
INTERPRETS = Seat(SeatRole.INTERPRETER, NOOR)
GUARDS = Seat(SeatRole.GUARDIAN, MAYA)
EVERYBODY = [party(ROSA), party(MAYA), GUARDS, party(KIM), MEDIATES, INTERPRETS]


def make(of: Case, kind: AgreementKind = CONFIDENTIALITY) -> Events:
    return agreements.make(of, kind, PAPER, terms_confidential=True, agreement_id=NEW)


def test_a_text_is_put_before_those_who_are_to_sign_it() -> None:
    assert make(ready()) == (
        events.AgreementMade(
            agreement_id=NEW,
            agreement_kind=CONFIDENTIALITY,
            number=1,
            template_version=PAPER.version,
            languages=("en",),
            text=PAPER.body,
            sha256=text_hash("languages: en\nterms_confidential: true\n\nWe keep it to ourselves."),
            terms_confidential=True,
        ),
    )


def test_other_languages_and_another_word_on_confidentiality_are_another_text() -> None:
    def hashed(*languages: str, terms_confidential: bool, body: str = PAPER.body) -> str:
        text = replace(PAPER, languages=languages, body=body)
        (made,) = agreements.make(
            ready(), CONFIDENTIALITY, text, terms_confidential=terms_confidential, agreement_id=NEW
        )
        assert isinstance(made, events.AgreementMade)
        return made.sha256

    assert len({hashed("en", "es", terms_confidential=each) for each in (True, False)}) == 2
    assert len({hashed(*each, terms_confidential=True) for each in (("en",), ("es",), ("en", "es"), ("es", "en"))}) == 4
    # What is said in the text does not pass for what is said of it.
    forged = "languages: en\nterms_confidential: true\n\n" + PAPER.body
    assert hashed("en", terms_confidential=True, body=forged) != hashed("en", terms_confidential=True)


def test_texts_are_numbered_for_each_kind() -> None:
    earlier = (replace(agreement(superseded=True), number=1), replace(agreement(), number=2))
    (third,) = make(replace(ready(), agreements=earlier))
    (first,) = make(replace(in_session(), agreements=earlier), RESOLUTION)
    assert isinstance(third, events.AgreementMade)
    assert isinstance(first, events.AgreementMade)
    assert (third.number, first.number) == (3, 1)


@pytest.mark.parametrize(
    ("kind", "states"),
    [(CONFIDENTIALITY, {State.READY, State.SCHEDULED}), (RESOLUTION, {State.IN_SESSION, State.CONCLUDED})],
)
@pytest.mark.parametrize("state", sorted(OPEN))
def test_each_kind_has_its_time(state: State, kind: AgreementKind, states: set[State]) -> None:
    here = replace(ready(), state=state)
    if state in states:
        assert make(here, kind)[0].kind == "agreement.made"
    else:
        with pytest.raises(StateConflict):
            make(here, kind)


def full_room(state: State = State.SCHEDULED) -> Case:
    here = scheduled(complainant(ROSA), minor(MAYA), officer(KIM), officer(LEE, WITHDRAWN))
    return replace(here, state=state, attendees=(interpreter(),), agreements=(agreement(),))


def sign(of: Case, signer: Seat = EVERYBODY[0], sha256: str = PAPER.sha256, by: Actor = COORDINATOR) -> Events:
    return agreements.sign_agreement(
        of,
        AGREEMENT,
        signer,
        signer_name="Rosa Alvarez",
        sha256=sha256,
        method=Method.PAPER,
        signature_id=NEW,
        by=by,
    )


def test_an_officer_who_first_signs_binds_the_subject() -> None:
    here = replace(full_room(), participants=(complainant(ROSA), officer(KIM)))
    by = Actor(Role.OFFICER, "k.lee", employee_number="4711")

    assert sign(here, party(KIM), by=by)[-1] == events.IdentityBound(party_id=KIM)
    assert [event.kind for event in sign(here, party(KIM))] == ["agreement.signed"]


@pytest.mark.parametrize("signer", EVERYBODY)
def test_everybody_in_the_room_signs_the_confidentiality_agreement(signer: Seat) -> None:
    assert sign(full_room(), signer) == (
        events.AgreementSigned(
            signature_id=NEW,
            agreement_id=AGREEMENT,
            sha256=PAPER.sha256,
            signer=signer,
            signer_name="Rosa Alvarez",
            method=Method.PAPER,
        ),
    )


def of_resolution(state: State = State.CONCLUDED) -> Case:
    return replace(full_room(state), agreements=(agreement(kind=RESOLUTION),))


@pytest.mark.parametrize("signer", [party(ROSA), party(MAYA), GUARDS, party(KIM)])
def test_the_parties_and_their_guardians_sign_a_resolution(signer: Seat) -> None:
    assert sign(of_resolution(), signer)[0].kind == "agreement.signed"


@pytest.mark.parametrize("signer", [MEDIATES, INTERPRETS])
def test_neither_mediator_nor_interpreter_signs_a_resolution(signer: Seat) -> None:
    with pytest.raises(NotASigner):
        sign(of_resolution(), signer)


@pytest.mark.parametrize("signer", [party(STRANGER), Seat(SeatRole.GUARDIAN, ROSA), Seat(SeatRole.MEDIATOR, STRANGER)])
def test_who_is_not_expected_signs_nothing(signer: Seat) -> None:
    with pytest.raises(NotASigner):
        sign(full_room(), signer)


@pytest.mark.parametrize("state", sorted(OPEN | CLOSED))
def test_who_has_left_is_told_the_same_whatever_becomes_of_the_case(state: State) -> None:
    with pytest.raises(PartyLeft):
        sign(full_room(state), party(LEE))


def test_a_text_that_was_replaced_is_not_signed() -> None:
    with pytest.raises(AgreementNotCurrent):
        sign(replace(full_room(), agreements=(agreement(superseded=True),)))


def test_of_several_texts_the_one_that_is_named_is_signed() -> None:
    old, new = replace(agreement(superseded=True), agreement_id=NEW), agreement()
    assert sign(replace(full_room(), agreements=(old, new)))[0].kind == "agreement.signed"


def test_only_the_text_that_was_shown_is_signed() -> None:
    with pytest.raises(TextChanged):
        sign(full_room(), sha256="0" * 64)


def test_nobody_signs_twice() -> None:
    with pytest.raises(AlreadySigned):
        sign(replace(full_room(), agreements=(agreement(party(ROSA)),)))


def test_an_agreement_of_another_case_is_not_there() -> None:
    with pytest.raises(NotFound):
        sign(replace(full_room(), agreements=()))


@pytest.mark.parametrize("state", sorted(OPEN))
def test_the_confidentiality_agreement_is_signed_up_to_the_session(state: State) -> None:
    if state in {State.READY, State.SCHEDULED, State.IN_SESSION}:
        assert sign(full_room(state))[0].kind == "agreement.signed"
    else:
        with pytest.raises(StateConflict):
            sign(full_room(state))


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_resolution_is_signed_from_the_session_on(state: State) -> None:
    if state in {State.IN_SESSION, State.CONCLUDED}:
        assert sign(of_resolution(state))[0].kind == "agreement.signed"
    else:
        with pytest.raises(StateConflict):
            sign(of_resolution(state))


@pytest.mark.parametrize("state", sorted(CLOSED))
def test_nothing_is_made_or_signed_in_a_closed_case(state: State) -> None:
    with pytest.raises(CaseNotOpen):
        make(full_room(state))
    with pytest.raises(CaseNotOpen):
        sign(full_room(state))


def test_a_resolution_that_everybody_of_a_part_signed_is_not_replaced() -> None:
    """It would void what they signed; the terms of others are for a case of their own."""
    both = replace(in_session(), agreements=(resolution(party(ROSA), party(KIM)),))
    with pytest.raises(AgreementReached):
        make(both, RESOLUTION)
    one = replace(in_session(), agreements=(resolution(party(ROSA)),))
    assert make(one, RESOLUTION)[0].kind == "agreement.made"


def test_a_resolution_of_somebody_who_left_may_be_replaced() -> None:
    here = in_session(complainant(ROSA, WITHDRAWN), complainant(MAYA), officer(KIM))
    here = replace(here, agreements=(resolution(party(ROSA), party(KIM)),))
    assert make(here, RESOLUTION)[0].kind == "agreement.made"


def test_the_text_that_counts_is_the_one_that_nothing_replaced() -> None:
    old, new = replace(agreement(superseded=True), agreement_id=NEW), agreement()
    here = replace(ready(), agreements=(old, new))
    assert here.agreement(CONFIDENTIALITY) == new
    assert here.agreement(RESOLUTION) is None
