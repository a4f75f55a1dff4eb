// The journeys of docs/portal-guide.md. Every line that this prints is the same for the mock and for the service.
import { type Api, Refused, ask, clientFor, everything, post, tagOf } from "./client.js";
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

interface Filed {
  complaint_id: string;
  case_id: string;
  complainant: Api;
}

const say = (step: string, { status }: Response, seen: unknown, what: string): void => {
  if (!seen) throw new Error(`${step}: there is no ${what}`);
  console.log(`${step}: ${status}, ${what}`);
};

async function textToShow(): Promise<string> {
  const query = { language: "en" } as const;
  const { data, response } = await ask(() => anybody.GET("/v1/disclosures", { params: { query } }));
  const [shown] = data.items;
  say("listDisclosures", response, shown?.text, "a text to show and its hash");
  return shown!.sha256;
}

async function fileComplaint(): Promise<Filed> {
  const body: components["schemas"]["ComplaintIn"] = {
    narrative: "She would not tell me why I was stopped.",
    allegations: ["discourtesy"],
    interested_in_mediation: true,
    parties: [
      { side: "complainant", name: "Ada Example" },
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

async function scheduleToClose({ case_id, complainant }: Filed): Promise<void> {
  const path = { case_id };
  const gate = await ask(() => coordinator.GET("/v1/cases/{case_id}/readiness", { params: { path } }));
  say("getReadiness", gate.response, gate.data, "what is missing");

  const person = { name: "Nia Evenhand", subject: from("MEDIATOR_SUBJECT"), languages: ["en"] };
  const added = await post((header) => coordinator.POST("/v1/mediators", { params: { header }, body: person }));
  say("addMediator", added.response, added.data.id, "a place on the roster");

  const mediator_id = added.data.id;
  const proposed = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/assignments", { params: { path, header }, body: { mediator_id } }),
  );
  const declared = { knows_a_party: false, has_an_interest: false, took_part_before: false };
  const assignment = { assignment_id: proposed.data.id };
  const accepted = await post((header) =>
    mediator.POST("/v1/assignments/{assignment_id}/accept", { params: { path: assignment, header }, body: declared }),
  );
  say("acceptAssignment", accepted.response, accepted.data.mediator_name, "a mediator");

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
    coordinator.POST("/v1/cases/{case_id}/sessions", { params: { path, header }, body: booking }),
  );
  say("scheduleSession", scheduled.response, scheduled.data.starts_at, "a session");

  const made = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/agreements", {
      params: { path, header },
      body: { kind: "confidentiality", languages: ["en"] },
    }),
  );
  const agreement = { agreement_id: made.data.id };
  for (const signer of [complainant, officer, mediator]) {
    const signed = await post((header) =>
      signer.POST("/v1/agreements/{agreement_id}/signatures", {
        params: { path: agreement, header },
        body: { sha256: made.data.sha256 },
      }),
    );
    say("signAgreement", signed.response, signed.data.id, "a signature");
  }

  const session = { session_id: scheduled.data.id };
  const started = await post((header) =>
    mediator.POST("/v1/sessions/{session_id}/start", { params: { path: session, header }, body: {} }),
  );
  say("startSession", started.response, started.data.attendance, "who is in the room");
  const completed = await post((header) =>
    mediator.POST("/v1/sessions/{session_id}/complete", { params: { path: session, header } }),
  );
  say("completeSession", completed.response, completed.data.id === session.session_id, "the same session");
  const closed = await post((header) =>
    coordinator.POST("/v1/cases/{case_id}/closures", { params: { path, header }, body: { agreement_reached: false } }),
  );
  say("closeCase", closed.response, closed.data.closed_at !== undefined, "the case, closed");
}

async function leave({ case_id, complainant }: Filed): Promise<void> {
  // No key, no body, no reason. Saying it twice is harmless.
  const left = await ask(() => complainant.POST("/v1/cases/{case_id}/withdrawals", { params: { path: { case_id } } }));
  // 201 the first time and 200 after that; both mean that it stands.
  console.log(`withdraw: ${left.data.id ? "it stands" : "no id"}`);
}

async function beRefused(): Promise<void> {
  // The mock answers what `Prefer` asks for; the service takes no notice of it.
  const headers = { Prefer: "code=404" };
  const params = { path: { case_id: crypto.randomUUID() } };
  try {
    await ask(() => intake.GET("/v1/cases/{case_id}", { params, headers }));
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    console.log(`getCase of a case that does not exist: ${refusal.status}, ${refusal.problem.code}`);
  }
}

async function readTheList(): Promise<void> {
  const listed = everything(async (cursor) => {
    const query = { limit: 1, ...(cursor === undefined ? {} : { cursor }) };
    return (await ask(() => coordinator.GET("/v1/complaints", { params: { query } }))).data;
  });
  for await (const complaint of listed) {
    console.log(`listComplaints: ${complaint.reference ? "one by one" : "no reference"}`);
    break; // a real list goes on to the end
  }
}

const text = await textToShow();
const first = await fileComplaint();
await screen(first);
await agree("complainant", first.complainant, first.case_id, text);
await agree("officer", officer, first.case_id, text);
await scheduleToClose(first);
await leave(await fileComplaint());
await beRefused();
await readTheList();
