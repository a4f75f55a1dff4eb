"""The catalogue of problem types: what each code means, in English and Spanish, and what the caller can do about it.

Codes never change, titles may. `problems.py` takes its titles from here, `/problems/{code}` shows an entry as a page,
and `openapi/problems.md` is the whole list; a test holds that no refusal is missing from it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem. `title` and `titulo` are for people, `remedy` is what the caller can do."""

    status: int
    title: str
    titulo: str
    remedy: str


_SHOW_AGAIN = "Read it again, show it again, and ask again."

CATALOGUE: Final[Mapping[str, ProblemType]] = MappingProxyType(
    {
        # what HTTP refuses
        "malformed-request": ProblemType(
            400,
            "The request cannot be read",
            "No se puede leer la solicitud",
            "Send one JSON document in UTF-8, with each key once, no NaN, and numbers of 64 bits. `errors` says more.",
        ),
        "idempotency-key-missing": ProblemType(
            400,
            "Idempotency key missing",
            "Falta la clave de idempotencia",
            "Send a header Idempotency-Key with 16 to 128 random characters, and the same one again when you retry.",
        ),
        "unauthenticated": ProblemType(
            401,
            "Not signed in",
            "Sin identificación",
            "Send a bearer token: of the city's identity provider, or one exchanged for an access code.",
        ),
        "token-expired": ProblemType(
            401,
            "Token expired",
            "La sesión ha caducado",
            "Get a new token: sign in again, or exchange the access code again.",
        ),
        "token-revoked": ProblemType(
            401,
            "The access code has ended",
            "El código de acceso ya no vale",
            "Exchange the code that is valid now. Staff give a new one, and record a withdrawal by phone at any time.",
        ),
        "access-code-invalid": ProblemType(
            401,
            "Access code not valid",
            "El código de acceso no es válido",
            "Check the code for slips. If it was lost or replaced, staff give a new one.",
        ),
        "not-permitted": ProblemType(
            403,
            "Not permitted",
            "No permitido",
            "Your role may not do this to anybody's object. Somebody of another role can.",
        ),
        "office-filter": ProblemType(
            403,
            "Not your filter",
            "Este filtro no es para usted",
            "Leave the filter out: it looks at what only the office sees.",
        ),
        "insufficient-scope": ProblemType(
            403,
            "Outside the token's scopes",
            "Fuera del alcance del token",
            "Get a token for the scope that WWW-Authenticate names. A person's may also name no scope of this service; "
            "with a program's that names none nothing can be done.",
        ),
        "unknown-scope": ProblemType(
            403,
            "There is no such scope",
            "Ese alcance no existe",
            "Compare the token's scopes with those of the contract: one of them begins like this service's own.",
        ),
        "not-found": ProblemType(
            404,
            "Not found",
            "No encontrado",
            "Check the address. What you may not know of is answered like what does not exist.",
        ),
        "method-not-allowed": ProblemType(
            405,
            "Method not allowed",
            "Método no permitido",
            "Use one of the methods that the header Allow lists.",
        ),
        "not-acceptable": ProblemType(
            406,
            "Not acceptable",
            "Formato no disponible",
            "Accept application/json, or text/html for a page such as this. A withdrawal is never held up by this.",
        ),
        "request-timeout": ProblemType(
            408, "The body did not arrive", "La solicitud no llegó a tiempo", "Send it again, faster."
        ),
        "precondition-failed": ProblemType(
            412,
            "Changed in the meantime",
            "Ha cambiado entre tanto",
            "Read it again, decide again, and send the new ETag in If-Match.",
        ),
        "payload-too-large": ProblemType(
            413, "Too large", "Demasiado grande", "Send less than 64 KiB; a narrative may have 20,000 characters."
        ),
        "unsupported-media-type": ProblemType(415, "Not JSON", "No es JSON", "Send Content-Type: application/json."),
        "validation-failed": ProblemType(
            422,
            "Some fields break a rule",
            "Algunos campos no son válidos",
            "`errors` names every field and its rule: mend them all, and send the request with a new key.",
        ),
        "idempotency-key-weak": ProblemType(
            400,
            "Idempotency key can be guessed",
            "La clave de idempotencia se puede adivinar",
            "Make a random key, such as a UUID.",
        ),
        "idempotency-key-reused": ProblemType(
            422,
            "Idempotency key used before",
            "La clave de idempotencia ya se usó",
            "The key belongs to another request of yours. Make a new one.",
        ),
        "idempotency-answer-erased": ProblemType(
            422,
            "The first answer was erased",
            "La primera respuesta se borró",
            "Nothing is done again, and what was answered is not held any more: read what is there now.",
        ),
        "precondition-required": ProblemType(
            428,
            "Precondition required",
            "Falta la condición previa",
            "Send the ETag of what you have read in If-Match.",
        ),
        "quota-exceeded": ProblemType(
            429,
            "Too many requests",
            "Demasiadas solicitudes",
            "Wait as long as Retry-After says. A withdrawal is never held up by this.",
        ),
        "internal-error": ProblemType(
            500,
            "Something went wrong here",
            "Algo ha fallado aquí",
            "Retry with the same key. If it stays, report the request id.",
        ),
        "unavailable": ProblemType(
            503,
            "Not available just now",
            "No disponible en este momento",
            "Nothing was changed. Retry with the same key after the seconds in Retry-After.",
        ),
        # what the rules of mediation refuse
        "case-closed": ProblemType(
            409,
            "The case is closed",
            "El caso está cerrado",
            "Nothing more is decided in it. If it did not end in mediation, mediation can be requested again.",
        ),
        "case-already-open": ProblemType(
            409, "A case is open", "Ya hay un caso abierto", "Go on with the open case of this complaint."
        ),
        "complaint-closed": ProblemType(
            409,
            "The complaint is closed",
            "La queja está cerrada",
            "It was closed by mediation, without a finding. A new matter is a new complaint.",
        ),
        "state-conflict": ProblemType(
            409,
            "Not in this state",
            "No es posible en este estado",
            "Read the case: its state, and what it waits for, say what can be done now.",
        ),
        "conditions-missing": ProblemType(
            409,
            "Something is missing",
            "Falta algo",
            "`missing` lists it all. The case's readiness gives the same list without trying.",
        ),
        "not-asked": ProblemType(
            409,
            "Not asked yet",
            "Aún no se le ha preguntado",
            "Wait until the party is asked: complainants after screening, officers after a complainant agreed.",
        ),
        "session-in-progress": ProblemType(
            409,
            "A session is under way",
            "Hay una sesión en curso",
            "Adjourn the session, or let it come to its end, and try again.",
        ),
        "identity-fixed": ProblemType(
            409,
            "This person was asked already",
            "A esta persona ya se le preguntó",
            "Remove the wrong party and add the right one. A misspelt name takes `name_correction_reason`.",
        ),
        "subject-fixed": ProblemType(
            409,
            "A case was proposed to this mediator",
            "A este mediador ya se le propuso un caso",
            "Take the entry off the active roster, and add the right mediator.",
        ),
        "party-removed": ProblemType(
            409,
            "This party was removed",
            "Esta parte fue retirada",
            "Nothing more is done to it. Look for the party that was added in its place.",
        ),
        "part-mediated": ProblemType(
            409,
            "It was mediated",
            "Ya se medió",
            "What was mediated stays closed, with those who met. A new matter is a new complaint.",
        ),
        "identity-not-bound": ProblemType(
            409,
            "No subject to release",
            "No hay identidad que liberar",
            "Nothing is to be done: the next answer with the employee number binds its own subject.",
        ),
        "already-answered": ProblemType(
            409,
            "Already answered",
            "Ya hay una respuesta",
            "The answer stands for this case. Who agreed may withdraw at any time.",
        ),
        "party-left": ProblemType(
            409,
            "No longer taking part",
            "Ya no participa",
            "The party has left this case. It can be asked again in a new one.",
        ),
        "disclosure-outdated": ProblemType(
            409,
            "Not the current disclosure",
            "No es la información actual",
            "Read the current disclosure, show it to the party, and send its hash with the answer.",
        ),
        "guardian-missing": ProblemType(
            409,
            "A guardian is needed",
            "Se necesita un tutor",
            "Put the guardian on file, and record their consent once they have told the office that they agree.",
        ),
        "guardian-already-agreed": ProblemType(
            409, "The guardian has agreed", "El tutor ya ha aceptado", "Nothing is left to do: the minor answers next."
        ),
        "not-a-minor": ProblemType(
            409,
            "Not a minor",
            "No es menor de edad",
            "The party answers alone; correct what is on file if that is wrong.",
        ),
        "not-in-session": ProblemType(
            409,
            "No session is under way",
            "No hay ninguna sesión en curso",
            "The party withdraws itself, or tells the office, which records it.",
        ),
        "director-required": ProblemType(
            409, "A director decides this", "Lo decide la dirección", "Ask a director to do it."
        ),
        "already-attested": ProblemType(
            409, "On record already", "Ya consta", "Nothing more is needed: it was attested before."
        ),
        "data-erased": ProblemType(
            409, "Erased", "Borrado", "Leave it: what was erased of somebody is not held of them again."
        ),
        "under-legal-hold": ProblemType(
            409, "Under a legal hold", "Bajo retención legal", "A director lifts every hold first."
        ),
        "second-person-required": ProblemType(
            409, "A second person decides this", "Lo decide otra persona", "Ask somebody else of your role to do it."
        ),
        "party-already-listed": ProblemType(
            409, "Already a party", "Ya figura como parte", "Correct the party that is listed."
        ),
        "external-reference-taken": ProblemType(
            409,
            "Reference used before",
            "La referencia ya existe",
            "You have filed this complaint: look for it among yours.",
        ),
        "mediator-inactive": ProblemType(
            409, "Mediator not active", "Mediador no activo", "Propose the case to somebody on the active roster."
        ),
        "mediator-conflicted": ProblemType(
            409, "Mediator has left the case", "El mediador ha dejado el caso", "Propose the case to somebody else."
        ),
        "mediator-is-party": ProblemType(
            409,
            "A party of the complaint",
            "Es parte en la queja",
            "Propose the case to somebody else; if the mediator has it, they leave it first.",
        ),
        "mediator-already-listed": ProblemType(
            409, "On the roster already", "Ya figura en la lista", "Correct the entry that has this employee number."
        ),
        "mediator-assigned": ProblemType(
            409,
            "There is a mediator",
            "Ya hay mediador",
            "The mediator must leave the case before it is proposed to another.",
        ),
        "mediator-taken": ProblemType(
            409, "Mediator not free", "El mediador no está libre", "Choose another time, or another mediator."
        ),
        "officer-taken": ProblemType(
            409,
            "An officer is not free",
            "Un agente no está libre",
            "Choose another time. Which officer it is, and where else they are, is not told.",
        ),
        "session-too-early": ProblemType(
            409,
            "Not its hour yet",
            "Aún no es su hora",
            "Reschedule the session to the hour at which it is really held, then start it.",
        ),
        "resolution-signed": ProblemType(
            409,
            "A resolution is signed",
            "Hay un acuerdo firmado",
            "Nobody lapses as unreachable any more. Complete the session and close the case, or make a new text.",
        ),
        "attempts-exhausted": ProblemType(
            409,
            "Attempted often enough",
            "Ya se intentó suficientes veces",
            "The complaint goes on with the office. It is not mediated again, whatever the attempts ended by.",
        ),
        "attempt-too-soon": ProblemType(
            409,
            "Too soon for another attempt",
            "Demasiado pronto para otro intento",
            "Ask again from the date that `detail` names. It depends on when the latest case closed alone.",
        ),
        "category-not-disclosed": ProblemType(
            409,
            "Not an exception they were told of",
            "No es una excepción que se les comunicó",
            "Whoever has the duty reports all the same; what is recorded here is what the people of the case were "
            "told of.",
        ),
        "subject-taken": ProblemType(
            409, "Subject used before", "El identificador ya existe", "Correct the entry that has this subject."
        ),
        "interpreter-unsuitable": ProblemType(
            409,
            "Not this interpreter",
            "Intérprete no adecuado",
            "Book a qualified interpreter who knows none of the people. The office pays.",
        ),
        "text-changed": ProblemType(409, "Not the text that was shown", "No es el texto mostrado", _SHOW_AGAIN),
        "agreement-superseded": ProblemType(
            409, "There is a later text", "Hay un texto posterior", "Sign the later one: earlier signatures are void."
        ),
        "already-signed": ProblemType(409, "Already signed", "Ya está firmado", "Nothing is left to do."),
        "agreement-reached": ProblemType(
            409,
            "An agreement was reached",
            "Ya hay un acuerdo firmado",
            "Close the case with `agreement_reached` true. Other terms are for another case.",
        ),
        "not-a-signer": ProblemType(
            409,
            "Does not sign this",
            "No firma este documento",
            "A confidentiality agreement is signed by everybody in the room, a resolution by the parties.",
        ),
        "absences-too-few": ProblemType(
            409,
            "Not absent often enough",
            "Faltan menos ausencias",
            "Schedule another session, or let the case lapse for another reason.",
        ),
        "absence-already-recorded": ProblemType(
            409, "Absence on record", "La ausencia ya consta", "Nothing is left to do."
        ),
        "officer-has-no-code": ProblemType(
            409, "No code for an officer", "Sin código para agentes", "The officer signs in with the city's account."
        ),
    }
)

LANGUAGES: Final = ("en", "es")
_RANGE = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
_MOST_RANGES: Final = 20


def language_of(accept_language: str) -> str:
    """The language to answer in: the best of those offered, English where none fits. Source: RFC 9110, 12.5.4."""
    best, rank = LANGUAGES[0], 0.0
    for part in accept_language.split(",")[:_MOST_RANGES]:
        match = _RANGE.fullmatch(part)
        if match is not None and match[1].lower() in LANGUAGES:
            quality = float(match[2] or 1)
            if quality > rank:
                best, rank = match[1].lower(), quality
    return best


def title(code: str, language: str) -> str:
    """The title of a problem in one of the languages; of a status that only the framework knows, the code itself."""
    entry = CATALOGUE.get(code)
    if entry is None:
        return code
    return entry.titulo if language == "es" else entry.title


def markdown() -> str:
    """The whole catalogue, as openapi/problems.md shows it."""
    lines = [
        "# Problems",
        "",
        "Every refusal is a problem document (RFC 9457). Go by `code`, which never changes. `title` comes in English",
        "or Spanish (`Accept-Language`), and `detail` is a sentence for people. Generated: `make openapi`.",
        "",
        "| Status | Code | Title | What to do |",
        "| --- | --- | --- | --- |",
    ]
    by_status = sorted(CATALOGUE.items(), key=lambda item: (item[1].status, item[0]))
    lines += [f"| {e.status} | `{code}` | {e.title} / {e.titulo} | {e.remedy} |" for code, e in by_status]
    return "\n".join(lines) + "\n"
