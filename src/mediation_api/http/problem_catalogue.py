"""The catalogue of problem types: the status of each code, and what the caller can do about it.

Codes never change. Titles may; they are in `mediation_api/texts`. `GET /problems/{code}` returns an entry as a page,
and `openapi/problems.md` lists all. A test checks that every refusal has an entry and a title.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from fastapi import Request


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem. `remedy` is what the caller can do about it, in English; it is translated like details."""

    status: int
    remedy: str


CATALOGUE: Final[Mapping[str, ProblemType]] = MappingProxyType(
    {
        # HTTP
        "malformed-request": ProblemType(
            400,
            "Send one JSON document in UTF-8, with each key once, no NaN, and numbers of 64 bits. See `errors`.",
        ),
        "idempotency-key-missing": ProblemType(
            400,
            "Send a header Idempotency-Key with 16 to 128 random characters, and the same one again when you retry.",
        ),
        "unauthenticated": ProblemType(
            401, "Send a bearer token: one of the city's identity provider, or one exchanged for an access code."
        ),
        "token-expired": ProblemType(401, "Get a new token: sign in again, or exchange the access code again."),
        "token-revoked": ProblemType(
            401,
            "Exchange the current access code. Staff issue new ones, and record a withdrawal by phone at any time.",
        ),
        "access-code-invalid": ProblemType(
            401, "Check the code for typing errors. If it was lost or replaced, staff issue a new one."
        ),
        "not-permitted": ProblemType(403, "Your role may not do this with any object. Ask somebody of another role."),
        "office-filter": ProblemType(403, "Omit the filter: it uses data that you do not see."),
        "insufficient-scope": ProblemType(
            403,
            "Get a token with the scope that WWW-Authenticate names. A person's token without any scope of this "
            "service has all scopes of the role; a program's has none.",
        ),
        "unknown-scope": ProblemType(
            403, "Compare the token's scopes with those of the contract: one has this service's prefix and is unknown."
        ),
        "not-found": ProblemType(
            404, "Check the address. An object outside your access is answered as if it did not exist."
        ),
        "method-not-allowed": ProblemType(405, "Use one of the methods that the header Allow lists."),
        "not-acceptable": ProblemType(
            406,
            "Accept application/json, or text/html for a page such as this. A withdrawal is never refused for this.",
        ),
        "request-timeout": ProblemType(408, "Send the request again; the body must arrive within ten seconds."),
        "feed-restored": ProblemType(
            410,
            "Go on at the address in Link, and skip the events whose `id` you have. The database was restored from a "
            "backup, and what was recorded after the backup is lost.",
        ),
        "precondition-failed": ProblemType(412, "Read it again, decide again, and send the new ETag in If-Match."),
        "payload-too-large": ProblemType(413, "Send less than 64 KiB; a narrative may have 20,000 characters."),
        "unsupported-media-type": ProblemType(
            415, "Send Content-Type: application/json, or application/x-ndjson for an upload of lines."
        ),
        "validation-failed": ProblemType(422, "Correct every field in `errors`, and send the request with a new key."),
        "idempotency-key-weak": ProblemType(400, "Make a random key, such as a UUID."),
        "idempotency-key-reused": ProblemType(422, "The key belongs to another request of yours. Make a new one."),
        "idempotency-answer-erased": ProblemType(
            422, "The request was carried out and is not repeated; its response is no longer stored. Read the object."
        ),
        "precondition-required": ProblemType(428, "Send the ETag of the representation you have read in If-Match."),
        "quota-exceeded": ProblemType(429, "Wait for Retry-After seconds. A withdrawal is never refused for this."),
        "internal-error": ProblemType(500, "Retry with the same key. If it persists, report the request id."),
        "unavailable": ProblemType(
            503, "Nothing was changed. Retry with the same key after the seconds in Retry-After."
        ),
        # the rules of mediation
        "case-closed": ProblemType(
            409, "A closed case is not changed. If it did not end in mediation, mediation can be requested again."
        ),
        "case-already-open": ProblemType(409, "Use the open case of this complaint."),
        "complaint-closed": ProblemType(
            409, "It was closed by mediation, without a finding. File a new complaint for a new matter."
        ),
        "state-conflict": ProblemType(
            409, "Read the case: its state and its pending conditions determine what can be done now."
        ),
        "conditions-missing": ProblemType(
            409, "Meet the conditions in `missing`. The case's readiness lists the same beforehand."
        ),
        "not-asked": ProblemType(
            409, "Wait until the party is asked: complainants after screening, officers after a complainant agreed."
        ),
        "session-in-progress": ProblemType(409, "Adjourn or end the session, and try again."),
        "identity-fixed": ProblemType(
            409, "Remove the wrong party and add the right one. To correct a name, send `name_correction_reason`."
        ),
        "subject-fixed": ProblemType(409, "Deactivate the roster entry, and add the right mediator."),
        "party-removed": ProblemType(409, "A removed party is not changed. Use the party that was added in its place."),
        "part-mediated": ProblemType(
            409, "A mediated part stays closed, with the people who met. File a new complaint for a new matter."
        ),
        "identity-not-bound": ProblemType(
            409, "No action is needed: the next answer with the employee number binds its own subject."
        ),
        "already-answered": ProblemType(
            409, "The answer is final for this case. A party that agreed may withdraw at any time."
        ),
        "party-left": ProblemType(409, "The party has left this case. It can be asked again in a new one."),
        "disclosure-outdated": ProblemType(
            409, "Read the current disclosure, show it to the party, and send its hash with the answer."
        ),
        "guardian-missing": ProblemType(
            409,
            "Add the guardian to the party, and record their consent after they have told the office that they agree.",
        ),
        "guardian-already-agreed": ProblemType(409, "No action is needed: the minor answers next."),
        "not-a-minor": ProblemType(409, "The party answers without a guardian; correct `minor` if that is wrong."),
        "not-in-session": ProblemType(409, "The party withdraws itself, or tells the office, which records it."),
        "director-required": ProblemType(409, "Ask a director to do it."),
        "already-attested": ProblemType(409, "No action is needed: it was attested before."),
        "data-erased": ProblemType(409, "Erased data of a person is not stored again."),
        "under-legal-hold": ProblemType(409, "A director must lift every hold first."),
        "second-person-required": ProblemType(409, "Ask somebody else of your role to do it."),
        "party-already-listed": ProblemType(409, "Correct the party that is listed."),
        "external-reference-taken": ProblemType(409, "You have filed this complaint before: find it among yours."),
        "mediator-inactive": ProblemType(409, "Propose the case to somebody on the active roster."),
        "mediator-conflicted": ProblemType(409, "Propose the case to somebody else."),
        "mediator-is-party": ProblemType(
            409, "Propose the case to somebody else; if the mediator has it, they must leave it first."
        ),
        "mediator-already-listed": ProblemType(409, "Correct the entry that has this employee number."),
        "mediator-assigned": ProblemType(409, "The mediator must leave the case before it is proposed to another."),
        "mediator-taken": ProblemType(409, "Choose another time, or another mediator."),
        "officer-taken": ProblemType(
            409, "Choose another time. The response does not reveal which officer it is, or where else they are booked."
        ),
        "session-too-early": ProblemType(
            409, "Reschedule the session to the time at which it really takes place, then start it."
        ),
        "resolution-signed": ProblemType(
            409,
            "A party can no longer lapse as unreachable. Complete the session and close the case, or make a new text.",
        ),
        "limit-reached": ProblemType(
            409,
            "A complaint has at most 50 parties, removed ones included; a case 50 attendees, proposals and pauses; an "
            "integration 10 endpoints of webhooks.",
        ),
        "attempts-exhausted": ProblemType(
            409, "The office continues with the complaint. It is not mediated again, however the attempts ended."
        ),
        "attempt-too-soon": ProblemType(
            409, "Request mediation again from the date in `detail`, which depends only on when the latest case closed."
        ),
        "category-not-disclosed": ProblemType(
            409,
            "The duty to report is unaffected; only categories that were disclosed to the people of the case can be "
            "recorded here.",
        ),
        "subject-taken": ProblemType(409, "Correct the entry that has this subject."),
        "interpreter-unsuitable": ProblemType(
            409, "Book a qualified interpreter who knows none of the people. The office pays."
        ),
        "text-changed": ProblemType(409, "Read the text again, show it to the person again, and ask again."),
        "agreement-superseded": ProblemType(409, "Sign the later agreement: signatures of the earlier one are void."),
        "already-signed": ProblemType(409, "No action is needed."),
        "agreement-reached": ProblemType(
            409, "Close the case with `agreement_reached` true. Other terms need another case."
        ),
        "not-a-signer": ProblemType(
            409, "A confidentiality agreement is signed by everybody in the room, a resolution by the parties."
        ),
        "absences-too-few": ProblemType(409, "Schedule another session, or let the case lapse for another reason."),
        "absence-already-recorded": ProblemType(409, "No action is needed."),
        "not-printable": ProblemType(
            409,
            "Ask the office to add a font that has this character to its folder of fonts, or read the text as JSON.",
        ),
        "document-too-long": ProblemType(409, "Read the text as JSON, or print it from there."),
        "officer-has-no-code": ProblemType(409, "The officer signs in with the city's account."),
    }
)

ProblemTitles: TypeAlias = Mapping[str, Mapping[str, str]]
"""The titles of problems, by language and code. The first language is the default."""

ProblemDetails: TypeAlias = Mapping[str, Mapping[str, str]]
"""The sentences of the details and the remedies of problems, by language and by the sentence in English."""

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
_MOST_RANGES: Final = 20


def localized_title(code: str, request: Request) -> tuple[str, str]:
    """Return the title of a problem in the language that the caller prefers, and that language.

    A code without a title (of a status that only the framework uses) is its own title.
    """
    titles: ProblemTitles = request.app.state.problem_titles
    language = language_of(request)
    return titles[language].get(code, code), language


def localized_detail(request: Request, sentence: str, values: Mapping[str, object] | None = None) -> str:
    """Return a sentence in the language that the caller prefers, with `values` for its placeholders.

    A sentence without a translation is returned in English. A test finds each that the code can return.
    """
    details: ProblemDetails = request.app.state.problem_details
    translated = details.get(language_of(request), {}).get(sentence, sentence)
    return translated.format_map(values) if values else translated


def language_of(request: Request) -> str:
    """Return the language of the texts of this package that the caller prefers."""
    return preferred_language(request.headers.get("accept-language", ""), request.app.state.problem_titles)


def preferred_language(accept_language: str, languages: Iterable[str]) -> str:
    """Return the accepted language with the highest quality, or the first language if none is accepted.

    A language range matches the longest tag that is a prefix of it. Source: RFC 9110, 12.5.4; RFC 4647, 3.4.
    """
    known = tuple(languages)
    best, rank = known[0], 0.0
    for part in accept_language.split(",")[:_MOST_RANGES]:
        match = _RANGE.fullmatch(part)
        if match is None:
            continue
        tag, quality = match[1].lower(), float(match[2] or 1)
        while tag and tag not in known:
            tag = tag.rpartition("-")[0]
        if tag and quality > rank:
            best, rank = tag, quality
    return best


def markdown(titles: ProblemTitles) -> str:
    """Return the page openapi/problems.md: the whole catalogue."""
    lines = [
        "# Problems",
        "",
        "Every refusal is a problem document (RFC 9457). Programs use `code`, which never changes. `title` and",
        "`detail` are sentences for people, in the language that `Accept-Language` prefers.",
        "Generated: `make generate`.",
        "",
        "| Status | Code | Title | What to do |",
        "| --- | --- | --- | --- |",
    ]
    for code, entry in sorted(CATALOGUE.items(), key=lambda item: (item[1].status, item[0])):
        title = " / ".join(in_language[code] for in_language in titles.values())
        lines.append(f"| {entry.status} | `{code}` | {title} | {entry.remedy} |")
    return "\n".join(lines) + "\n"
