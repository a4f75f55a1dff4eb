// The journeys of docs/portal-guide.md. Every line that this prints is the same for the mock and for the service.
import { type Api, Refused, ask, clientFor, everything, post, reread, tagOf } from "./client.js";
import type { components } from "./contract.js";

declare const process: { env: Record<string, string | undefined>; exitCode: number };

const from = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};
const api = from("API");
const anybody = clientFor(api);
const intake = clientFor(api, from("INTAKE"));
const coordinator = clientFor(api, from("COORDINATOR"));
const officer = clientFor(api, from("OFFICER"));
const mediator = clientFor(api, from("MEDIATOR"));
const integration = clientFor(api, from("INTEGRATION"));

interface Filed {
  complaint_id: string;
  case_id: string;
  complainant: Api;
}

const say = (step: string, { status }: Response, seen: unknown, what: string): void => {
  if (!seen) throw new Error(`${step}: there is no ${what}`);
  console.log(`${step}: ${status}, ${what}`);
};

/** The mock answers with the status that `Prefer` asks for; the service takes notice of `wait` alone. */
const mocked = (status: number) => ({ Prefer: `code=${status}` });

async function textToShow(): Promise<string> {
  const params = { query: { language: "en" } } as const;
  const read = await ask(() => anybody.GET("/v1/disclosures", { params }));
  const [shown] = read.data.items;
  say("listDisclosures", read.response, shown?.text, "a text to show and its hash");

  const again = await reread(read, (header) =>
    anybody.GET("/v1/disclosures", { params, headers: { ...header, ...mocked(304) } }),
  );
  say("listDisclosures again", again.response, again.data.items[0]?.sha256, "the text that was read before");
  return shown!.sha256;
}

const ada: components["schemas"]["PartyIn"] = { side: "complainant", name: "Ada Example" };

async function fileComplaint(complainant = ada): Promise<Filed> {
  const body: components["schemas"]["ComplaintIn"] = {
    narrative: "She would not tell me why I was stopped.",
    allegations: ["discourtesy"],
    interested_in_mediation: true,
    parties: [
      complainant,
      { side: "officer", name: "Officer Max Sample", employee_number: "4711" },
    ],
  };
  // Made when the person presses the button, and kept for every retry.
  const header = { "Idempotency-Key": crypto.randomUUID() };
  const send = () => anybody.POST("/v1/complaints", { params: { header }, body });
  const { data, response } = await ask(send);
  say("fileComplaint", response, data.case_id && data.access_codes.length === 1, "a case and one access code");

  const again = await ask(send); // as if the first answer had been lost
  say("fileComplaint again", again.response, again.data.id === data.id, "the same complaint");

  const { access_code } = data.access_codes[0]!;
  const given = await ask(() => anybody.POST("/v1/access-tokens", { body: { access_code } }));
  say("exchangeAccessCode", given.response, given.data.access_token, "a token for this one party");
  return {
    complaint_id: data.id,
    case_id: data.case_id!,
    complainant: clientFor(api, given.data.access_token),
  };
}

async function screen({ complaint_id, case_id }: Filed): Promise<void> {
  const path = { complaint_id };
  const read = await ask(() => intake.GET("/v1/complaints/{complaint_id}", { params: { path } }));
  const header = { "If-Match": tagOf(read.response) };
  say("getComplaint", read.response, header, "an entity tag");

  const body = { crime_alleged: false, serious_injury: false, litigation_pending: false, officer_is_witness: false };
  const params = { path, header };
  const corrected = await ask(() => intake.PATCH("/v1/complaints/{complaint_id}", { params, body }));
  say("correctComplaint", corrected.response, corrected.data.id === read.data.id, "the same complaint, corrected");

  const screened = await post((header) =>
    intake.POST("/v1/cases/{case_id}/screenings", { params: { path: { case_id }, header }, body: {} }),
  );
  say("screenCase", screened.response, screened.data.outcome, "an outcome");
}

async function agree(who: string, party: Api, case_id: string, disclosure_sha256: string): Promise<void> {
  const path = { case_id };
  const seen = await ask(() => party.GET("/v1/cases/{case_id}", { params: { path } }));
  say(`getCase as the ${who}`, seen.response, seen.data.reference, "a reference");

  const body = { decision: "agreed", disclosure_sha256 } as const;
  const given = await post((header) => party.POST("/v1/cases/{case_id}/consents", { params: { path, header }, body }));
  say(`giveConsent as the ${who}`, given.response, given.data.id, "an answer that stands");
}

async function addMediator(): Promise<string> {
  const person = { name: "Nia Evenhand", subject: from("MEDIATOR_SUBJECT"), languages: ["en"] };
  const added = await post((header) => coordinator.POST("/v1/mediators", { params: { header }, body: person }));
  say("addMediator", added.response, added.data.id, "a place on the roster");
  return added.data.id;
}

async function assign(case_id: string, mediator_id: string): Promise<void> {
  const proposed = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/assignments", { params: { path: { case_id }, header }, body: { mediator_id } }),
  );
  const declared = { knows_a_party: false, has_an_interest: false, took_part_before: false };
  const assignment = { assignment_id: proposed.data.id };
  const accepted = await post((header) =>
    mediator.POST("/v1/assignments/{assignment_id}/accept", { params: { path: assignment, header }, body: declared }),
  );
  say("acceptAssignment", accepted.response, accepted.data.mediator_name, "a mediator");
}

async function schedule(case_id: string): Promise<string> {
  // A session may start up to an hour before its time. At night or on a day off it needs the reason.
  const minute = 60 * 1000;
  const booking = {
    starts_at: new Date(Date.now() + 15 * minute).toISOString(),
    ends_at: new Date(Date.now() + 135 * minute).toISOString(),
    mode: "in_person",
    place: "Room 4, City Hall",
    off_hours_reason: "parties_asked",
  } as const;
  const scheduled = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/sessions", { params: { path: { case_id }, header }, body: booking }),
  );
  say("scheduleSession", scheduled.response, scheduled.data.starts_at, "a session");
  return scheduled.data.id;
}

interface Text {
  id: string;
  sha256: string;
}

async function write(case_id: string, body: components["schemas"]["AgreementIn"]): Promise<Text> {
  const params = { path: { case_id } };
  const made = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/agreements", { params: { ...params, header }, body }),
  );
  say(`makeAgreement, ${body.kind}`, made.response, made.data.text, "a text to sign");
  return made.data;
}

/** A party or a mediator signs for themselves; staff say whose signature on paper they hold. */
async function sign(signer: Api, { id, sha256 }: Text, onPaper?: components["schemas"]["SeatIn"]): Promise<void> {
  const body = onPaper === undefined ? { sha256 } : { sha256, signer: onPaper };
  const signed = await post((header) =>
    signer.POST("/v1/agreements/{agreement_id}/signatures", { params: { path: { agreement_id: id }, header }, body }),
  );
  say(onPaper ? "signAgreement on paper" : "signAgreement", signed.response, signed.data.id, "a signature");
}

async function start(session_id: string): Promise<void> {
  const params = { path: { session_id } };
  const started = await post((header) =>
    mediator.POST("/v1/sessions/{session_id}/start", { params: { ...params, header }, body: {} }),
  );
  say("startSession", started.response, started.data.attendance, "who is in the room");
}

const confidentiality: components["schemas"]["AgreementIn"] = { kind: "confidentiality", languages: ["en"] };

async function scheduleToClose({ case_id, complainant }: Filed, mediator_id: string): Promise<void> {
  const path = { case_id };
  const gate = await ask(() => coordinator.GET("/v1/cases/{case_id}/readiness", { params: { path } }));
  say("getReadiness", gate.response, gate.data, "what is missing");
  await assign(case_id, mediator_id);
  const session_id = await schedule(case_id);
  const text = await write(case_id, confidentiality);
  for (const signer of [complainant, officer, mediator]) await sign(signer, text);
  await start(session_id);
  const completed = await post((header) =>
    mediator.POST("/v1/sessions/{session_id}/complete", { params: { path: { session_id }, header } }),
  );
  say("completeSession", completed.response, completed.data.id === session_id, "the same session");

  // What they agreed on, if they want it in writing.
  const terms = await write(case_id, {
    kind: "resolution",
    languages: ["en"],
    terms: "Both sides talked, and shook hands.",
  });
  for (const signer of [complainant, officer]) await sign(signer, terms);
  const closed = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/closures", { params: { path, header }, body: { agreement_reached: true } }),
  );
  say("closeCase", closed.response, closed.data.closed_at !== undefined, "the case, closed");
}

const kit: components["schemas"]["PartyIn"] = {
  side: "complainant",
  name: "Kit Example",
  minor: true,
  guardian: { name: "Ines Example", relation: "parent" },
  interpreter_language: "es",
};

/** A minor, with a guardian and an interpreter: who else answers, is expected, and signs. */
async function withGuardianAndInterpreter(filed: Filed, mediator_id: string, disclosure_sha256: string): Promise<void> {
  const { complaint_id, case_id, complainant } = filed;
  const path = { case_id };
  const people = await ask(() =>
    intake.GET("/v1/complaints/{complaint_id}/parties", { params: { path: { complaint_id } } }),
  );
  const party_id = people.data.items.find(({ side }) => side === "complainant")!.id;

  const said = { party_id, channel: "phone", disclosure_sha256 } as const;
  const agreed = await post((header) =>
    intake.POST("/v1/cases/{case_id}/guardian-consents", { params: { path, header }, body: said }),
  );
  say("recordGuardianConsent", agreed.response, agreed.data.id, "the guardian's answer");
  await agree("minor", complainant, case_id, disclosure_sha256);
  await agree("officer", officer, case_id, disclosure_sha256);
  await assign(case_id, mediator_id);

  const interpreter = { role: "interpreter", name: "Ira Example", language: "es", qualified: true } as const;
  const expected = await post((header) =>
    intake.POST("/v1/cases/{case_id}/attendees", { params: { path, header }, body: interpreter }),
  );
  const attendee_id = expected.data.id;
  say("addAttendee", expected.response, attendee_id, "an interpreter");
  const confirmed = await post((header) =>
    intake.POST("/v1/attendees/{attendee_id}/confirm", { params: { path: { attendee_id }, header } }),
  );
  say("confirmAttendee", confirmed.response, confirmed.data.id, "who will come");

  const session_id = await schedule(case_id);
  const text = await write(case_id, confidentiality);
  const waiting = await ask(() => complainant.GET("/v1/me"));
  say("getMe as the minor", waiting.response, waiting.data.role, "what waits");
  for (const signer of [complainant, officer, mediator]) await sign(signer, text);
  await sign(coordinator, text, { role: "guardian", id: party_id });
  await sign(coordinator, text, { role: "interpreter", id: attendee_id });
  await start(session_id);
}

async function leave({ case_id, complainant }: Filed): Promise<void> {
  // No key, no body, no reason. Saying it twice is harmless.
  const left = await ask(() => complainant.POST("/v1/cases/{case_id}/withdrawals", { params: { path: { case_id } } }));
  // 201 the first time and 200 after that; both mean that it stands.
  console.log(`recordWithdrawal: ${left.data.id ? "it stands" : "no id"}`);
}

async function leaveByPhone({ complaint_id, case_id }: Filed): Promise<void> {
  const people = await ask(() =>
    intake.GET("/v1/complaints/{complaint_id}/parties", { params: { path: { complaint_id } } }),
  );
  const party_id = people.data.items.find(({ side }) => side === "complainant")?.id;
  say("listParties", people.response, party_id, "a complainant");

  const body = { party_id: party_id!, channel: "phone" } as const;
  const path = { case_id };
  const left = await ask(() => intake.POST("/v1/cases/{case_id}/withdrawals", { params: { path }, body }));
  console.log(`recordWithdrawal by phone: ${left.data.id ? "it stands" : "no id"}`);
}

async function fileAsProgram(): Promise<void> {
  const body: components["schemas"]["ComplaintIn"] = {
    narrative: "The officer shouted.",
    allegations: ["discourtesy"],
    interested_in_mediation: false,
    parties: [{ side: "complainant", name: "Ben Example" }],
    external_reference: crypto.randomUUID(),
  };
  const header = { "Idempotency-Key": crypto.randomUUID() };
  const send = () => integration.POST("/v1/complaints", { params: { header }, body });
  const filed = await ask(send);
  say("fileComplaint as a program", filed.response, filed.data.id, "a complaint");
  const again = await ask(send);
  say("fileComplaint as a program again", again.response, again.data.id === filed.data.id, "the same complaint");
}

/** The mock takes no cursor for a place of its own, and so answers each request with the same page. */
async function follow(): Promise<void> {
  const ofFeed = (after?: string) =>
    ask(() => integration.GET("/v1/events", { params: { query: { limit: 1, ...(after ? { after } : {}) } } }));
  const begun = await ofFeed();
  say("getChangeFeed", begun.response, begun.data.events[0]?.kind && begun.data.cursor, "an event and a cursor");
  const read = new Set(begun.data.events.map((event) => event.id));
  const { data, response } = await ofFeed(begun.data.cursor!);
  const known = data.events.filter((event) => read.has(event.id)); // each may come again: ids tell
  say("getChangeFeed after it", response, data.cursor && known.length <= read.size, "where to go on");
}

/** What is refused; the mock's problem is always the same, so the status is what to compare. */
async function refused(step: string, send: () => Promise<unknown>): Promise<void> {
  try {
    await send();
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    console.log(`${step}: ${refusal.status}, ${refusal.problem.code ? "a problem with a code" : "no code"}`);
    return;
  }
  throw new Error(`${step}: not refused`);
}

async function beRefused({ complaint_id }: Filed): Promise<void> {
  const missing = { params: { path: { case_id: crypto.randomUUID() } }, headers: mocked(404) };
  await refused("getCase of a case that does not exist", () => ask(() => intake.GET("/v1/cases/{case_id}", missing)));

  const params = { path: { complaint_id }, header: { "If-Match": '"somebody-was-quicker"' } };
  const correction = { params, headers: mocked(412), body: { precinct: "Central" } };
  await refused("correctComplaint after somebody else", () =>
    ask(() => intake.PATCH("/v1/complaints/{complaint_id}", correction)),
  );
}

async function readTheBoard(): Promise<void> {
  const query = { open: true, pace: "on_track", waits_for: "session_end", sort: "due_on", limit: 100 } as const;
  const { data, response } = await ask(() => coordinator.GET("/v1/cases", { params: { query } }));
  say("listCases on track that are in session", response, data.items.every((each) => each.reference), "references");
}

async function readTheList(): Promise<void> {
  let read = 0;
  const listed = everything(async (cursor) => {
    const query = { limit: 2, ...(cursor === undefined ? {} : { cursor }) };
    return (await ask(() => coordinator.GET("/v1/mediators", { params: { query } }))).data;
  });
  for await (const mediator of listed) read += mediator.name ? 1 : 0;
  console.log(`listMediators: ${read > 0 ? "to the end" : "nobody"}`);
}

const text = await textToShow();
const first = await fileComplaint();
await screen(first);
await agree("complainant", first.complainant, first.case_id, text);
await agree("officer", officer, first.case_id, text);
const mediator_id = await addMediator();
await scheduleToClose(first, mediator_id);
const second = await fileComplaint(kit);
await screen(second);
await withGuardianAndInterpreter(second, mediator_id, text);
await leave(await fileComplaint());
await leaveByPhone(await fileComplaint());
await fileAsProgram();
await follow();
await beRefused(first);
await readTheBoard();
await readTheList();
