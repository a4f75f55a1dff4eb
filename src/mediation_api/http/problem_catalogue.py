"""The catalogue of problem types: the status of each code, and what the caller can do about it.

Codes never change. Their titles may, and stand in `mediation_api/texts`. `/problems/{code}` shows an entry as a page,
and `openapi/problems.md` lists them all. A test checks that every refusal has an entry, and a title.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from fastapi import Request


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem. `remedy` says what the caller can do about it."""

    status: int
    remedy: str


CATALOGUE: Final[Mapping[str, ProblemType]] = MappingProxyType(
    {
        # what HTTP refuses
        "malformed-request": ProblemType(
            400,
            "Send one JSON document in UTF-8, with each key once, no NaN, and numbers of 64 bits. `errors` says more.",
        ),
        "idempotency-key-missing": ProblemType(
            400,
            "Send a header Idempotency-Key with 16 to 128 random characters, and the same one again when you retry.",
        ),
        "unauthenticated": ProblemType(
            401, "Send a bearer token: of the city's identity provider, or one exchanged for an access code."
        ),
        "token-expired": ProblemType(401, "Get a new token: sign in again, or exchange the access code again."),
        "token-revoked": ProblemType(
            401,
            "Exchange the code that is valid now. Staff give a new one, and record a withdrawal by phone at any time.",
        ),
        "access-code-invalid": ProblemType(
            401, "Check the code for slips. If it was lost or replaced, staff give a new one."
        ),
        "not-permitted": ProblemType(
            403, "Your role may not do this to anybody's object. Somebody of another role can."
        ),
        "office-filter": ProblemType(403, "Leave the filter out: it looks at what only the office sees."),
        "insufficient-scope": ProblemType(
            403,
            "Get a token for the scope that WWW-Authenticate names. A person's may also name no scope of this service; "
            "with a program's that names none nothing can be done.",
        ),
        "unknown-scope": ProblemType(
            403, "Compare the token's scopes with those of the contract: one of them begins like this service's own."
        ),
        "not-found": ProblemType(
            404, "Check the address. What you may not know of is answered like what does not exist."
        ),
        "method-not-allowed": ProblemType(405, "Use one of the methods that the header Allow lists."),
        "not-acceptable": ProblemType(
            406, "Accept application/json, or text/html for a page such as this. A withdrawal is never held up by this."
        ),
        "request-timeout": ProblemType(408, "Send it again, faster."),
        "precondition-failed": ProblemType(412, "Read it again, decide again, and send the new ETag in If-Match."),
        "payload-too-large": ProblemType(413, "Send less than 64 KiB; a narrative may have 20,000 characters."),
        "unsupported-media-type": ProblemType(415, "Send Content-Type: application/json."),
        "validation-failed": ProblemType(
            422, "`errors` names every field and its rule: mend them all, and send the request with a new key."
        ),
        "idempotency-key-weak": ProblemType(400, "Make a random key, such as a UUID."),
        "idempotency-key-reused": ProblemType(422, "The key belongs to another request of yours. Make a new one."),
        "idempotency-answer-erased": ProblemType(
            422, "Nothing is done again, and what was answered is not held any more: read what is there now."
        ),
        "precondition-required": ProblemType(428, "Send the ETag of what you have read in If-Match."),
        "quota-exceeded": ProblemType(429, "Wait as long as Retry-After says. A withdrawal is never held up by this."),
        "internal-error": ProblemType(500, "Retry with the same key. If it stays, report the request id."),
        "unavailable": ProblemType(
            503, "Nothing was changed. Retry with the same key after the seconds in Retry-After."
        ),
        # what the rules of mediation refuse
        "case-closed": ProblemType(
            409, "Nothing more is decided in it. If it did not end in mediation, mediation can be requested again."
        ),
        "case-already-open": ProblemType(409, "Go on with the open case of this complaint."),
        "complaint-closed": ProblemType(
            409, "It was closed by mediation, without a finding. A new matter is a new complaint."
        ),
        "state-conflict": ProblemType(
            409, "Read the case: its state, and what it waits for, say what can be done now."
        ),
        "conditions-missing": ProblemType(
            409, "`missing` lists it all. The case's readiness gives the same list without trying."
        ),
        "not-asked": ProblemType(
            409, "Wait until the party is asked: complainants after screening, officers after a complainant agreed."
        ),
        "session-in-progress": ProblemType(409, "Adjourn the session, or let it come to its end, and try again."),
        "identity-fixed": ProblemType(
            409, "Remove the wrong party and add the right one. A misspelt name takes `name_correction_reason`."
        ),
        "subject-fixed": ProblemType(409, "Take the entry off the active roster, and add the right mediator."),
        "party-removed": ProblemType(
            409, "Nothing more is done to it. Look for the party that was added in its place."
        ),
        "part-mediated": ProblemType(
            409, "What was mediated stays closed, with those who met. A new matter is a new complaint."
        ),
        "identity-not-bound": ProblemType(
            409, "Nothing is to be done: the next answer with the employee number binds its own subject."
        ),
        "already-answered": ProblemType(409, "The answer stands for this case. Who agreed may withdraw at any time."),
        "party-left": ProblemType(409, "The party has left this case. It can be asked again in a new one."),
        "disclosure-outdated": ProblemType(
            409, "Read the current disclosure, show it to the party, and send its hash with the answer."
        ),
        "guardian-missing": ProblemType(
            409, "Put the guardian on file, and record their consent once they have told the office that they agree."
        ),
        "guardian-already-agreed": ProblemType(409, "Nothing is left to do: the minor answers next."),
        "not-a-minor": ProblemType(409, "The party answers alone; correct what is on file if that is wrong."),
        "not-in-session": ProblemType(409, "The party withdraws itself, or tells the office, which records it."),
        "director-required": ProblemType(409, "Ask a director to do it."),
        "already-attested": ProblemType(409, "Nothing more is needed: it was attested before."),
        "data-erased": ProblemType(409, "Leave it: what was erased of somebody is not held of them again."),
        "under-legal-hold": ProblemType(409, "A director lifts every hold first."),
        "second-person-required": ProblemType(409, "Ask somebody else of your role to do it."),
        "party-already-listed": ProblemType(409, "Correct the party that is listed."),
        "external-reference-taken": ProblemType(409, "You have filed this complaint: look for it among yours."),
        "mediator-inactive": ProblemType(409, "Propose the case to somebody on the active roster."),
        "mediator-conflicted": ProblemType(409, "Propose the case to somebody else."),
        "mediator-is-party": ProblemType(
            409, "Propose the case to somebody else; if the mediator has it, they leave it first."
        ),
        "mediator-already-listed": ProblemType(409, "Correct the entry that has this employee number."),
        "mediator-assigned": ProblemType(409, "The mediator must leave the case before it is proposed to another."),
        "mediator-taken": ProblemType(409, "Choose another time, or another mediator."),
        "officer-taken": ProblemType(
            409, "Choose another time. Which officer it is, and where else they are, is not told."
        ),
        "session-too-early": ProblemType(
            409, "Reschedule the session to the hour at which it is really held, then start it."
        ),
        "resolution-signed": ProblemType(
            409, "Nobody lapses as unreachable any more. Complete the session and close the case, or make a new text."
        ),
        "attempts-exhausted": ProblemType(
            409, "The complaint goes on with the office. It is not mediated again, whatever the attempts ended by."
        ),
        "attempt-too-soon": ProblemType(
            409, "Ask again from the date that `detail` names. It depends on when the latest case closed alone."
        ),
        "category-not-disclosed": ProblemType(
            409,
            "Whoever has the duty reports all the same; what is recorded here is what the people of the case were "
            "told of.",
        ),
        "subject-taken": ProblemType(409, "Correct the entry that has this subject."),
        "interpreter-unsuitable": ProblemType(
            409, "Book a qualified interpreter who knows none of the people. The office pays."
        ),
        "text-changed": ProblemType(409, "Read it again, show it again, and ask again."),
        "agreement-superseded": ProblemType(409, "Sign the later one: earlier signatures are void."),
        "already-signed": ProblemType(409, "Nothing is left to do."),
        "agreement-reached": ProblemType(
            409, "Close the case with `agreement_reached` true. Other terms are for another case."
        ),
        "not-a-signer": ProblemType(
            409, "A confidentiality agreement is signed by everybody in the room, a resolution by the parties."
        ),
        "absences-too-few": ProblemType(409, "Schedule another session, or let the case lapse for another reason."),
        "absence-already-recorded": ProblemType(409, "Nothing is left to do."),
        "officer-has-no-code": ProblemType(409, "The officer signs in with the city's account."),
    }
)

ProblemTitles: TypeAlias = Mapping[str, Mapping[str, str]]
"""The titles of problems, by language and code. The first language is the one to fall back to."""

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
_MOST_RANGES: Final = 20


def localized_title(code: str, request: Request) -> tuple[str, str]:
    """The title of a problem, and its language: the one that the caller prefers of those there are.

    The title of a status that only the framework knows is its code.
    """
    titles: ProblemTitles = request.app.state.problem_titles
    language = preferred_language(request.headers.get("accept-language", ""), titles)
    return titles[language].get(code, code), language


def preferred_language(accept_language: str, languages: Iterable[str]) -> str:
    """The first language of the highest quality, or the first of all where none is accepted.

    A language range takes the longest tag that it begins with. Source: RFC 9110, 12.5.4; RFC 4647, 3.4.
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
    """The whole catalogue, as openapi/problems.md shows it."""
    lines = [
        "# Problems",
        "",
        "Every refusal is a problem document (RFC 9457). Go by `code`, which never changes. `title` comes in the",
        "language that `Accept-Language` prefers, and `detail` is a sentence for people. Generated: `make generate`.",
        "",
        "| Status | Code | Title | What to do |",
        "| --- | --- | --- | --- |",
    ]
    for code, entry in sorted(CATALOGUE.items(), key=lambda item: (item[1].status, item[0])):
        title = " / ".join(in_language[code] for in_language in titles.values())
        lines.append(f"| {entry.status} | `{code}` | {title} | {entry.remedy} |")
    return "\n".join(lines) + "\n"
