"""An office in which much has happened, for the tests of the record."""

from typing import Final

from tests.conftest import NOON

from mediation_api.dev.office import Office, Story


async def report_of(story: Story, verb: str, body: object = None) -> None:
    """What the mediator proposed, and a director decided."""
    assert story.mediator is not None
    report_id = await story.report(story.mediator, agency="County é", disclosed_at="2026-03-01T10:00:00.123456Z")
    await story.office.director.post(f"/v1/mandatory-reports/{report_id}/{verb}", body, 200)


WITHDRAWN: Final = {"reason": "withdrawn"}


async def keep_busy(office: Office) -> None:
    """Let much happen, to several cases at once, so that there is something in every operative table."""
    mediated = await (await office.file(complainants=[{}, {}], officers=[{}, {}])).to_mediated()
    await report_of(mediated, "file")
    await report_of(mediated, "drop", {"reason": "no_duty"})
    holds = f"/v1/complaints/{mediated.complaint_id}/legal-holds"
    first = await office.director.post(holds, {"reason": "litigation"})
    hold = await office.director.post(holds, {"reason": "investigation"})
    await office.director.post(f"/v1/legal-holds/{hold['id']}/lift", None, 200)
    for who, verb, body in zip(mediated.complainants, ("approve", "refuse"), (None, WITHDRAWN), strict=True):
        asked = await office.intake.post(f"/v1/parties/{who.party_id}/erasures")
        if verb == "approve":
            await office.director.post(f"/v1/legal-holds/{first['id']}/lift", None, 200)
        await office.director.post(f"/v1/erasures/{asked['id']}/{verb}", body, 200)
    await office.director.post(holds, {"reason": "litigation"})
    assert mediated.mediator is not None
    await mediated.mediator.post(f"/v1/assignments/{mediated.assignment_id}/attest-notes-destroyed", None, 200)
    left = await (await office.file()).to_scheduled()
    await left.withdraw(left.complainants[0])
    again = await office.file(officers=[{}, {}])
    await again.to_asking()
    await again.answer(again.officers[0], "declined")
    await again.complainants[0].patch(f"/v1/parties/{again.complainants[0].party_id}", {"phone": "+1 503 555 0111"})
    await office.intake.patch(f"/v1/complaints/{again.complaint_id}", {"precinct": "North"})
    await office.intake.post(f"/v1/parties/{again.officers[1].party_id}/removals", {"reason": "duplicate"})
    await _reopened(office)
    await office.coordinator.put(f"{again.path}/coordinator", {"coordinator": "coordinator.é"})
    await office.coordinator.patch(f"/v1/mediators/{(await office.mediator()).mediator_id}", {"active": False})
    minor = {"minor": True, "guardian": {"name": "Ines Alvarez", "relation": "parent"}}
    young = await (await office.file(complainants=[minor])).to_confirming()
    await young.guardian_agrees(young.complainants[0])
    await again.try_to_reach(again.complainants[0].party_id)
    missed = await (await office.file(officers=[{}, {}])).to_scheduled()
    await missed.confirm(await missed.expect(role="interpreter", name="Noor Haddad", language="ar", qualified=True))
    await missed.approve("director")
    today = NOON.date().isoformat()
    await missed.pause("leave", today, today)
    office.clock.advance(days=3, hours=1)
    await missed.miss(missed.officers[0], excused=True)


async def _reopened(office: Office) -> None:
    """Consents are voided, a screening is outdated and done again, names are corrected, an account is released."""
    story = await (await office.file(officers=[{}, {}])).to_signed()
    complaint, officer = f"/v1/complaints/{story.complaint_id}", f"/v1/parties/{story.officers[0].party_id}"
    await office.intake.patch(complaint, {"allegations": ["force"], "litigation_pending": True})
    await story.screen()
    await office.intake.patch(officer, {"name": "Dale Kimm", "name_correction_reason": "spelling"})
    await office.intake.post(f"{officer}/identity-releases")
    await story.answer(story.complainants[0])
    await story.answer(story.officers[0])
    await story.remove(story.officers[1])
    outdated = await (await office.file()).to_confirming()
    await office.intake.patch(f"/v1/complaints/{outdated.complaint_id}", {"crime_alleged": True})
