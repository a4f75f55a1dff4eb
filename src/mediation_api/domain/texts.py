"""The texts that people are shown and sign, in plain words, by version and language.

COUNSEL MUST CONFIRM THESE TEXTS before a city uses them. In particular: which acts must be reported and by whom;
whether hearing an admission is "witnessing" for an officer's own duty to report; which other limits the state's law
sets (in Oregon ORS 36.220 to 36.230); whether the city is a party; what people may still say in public; who counts
as a minor (18 here); and that every language says the same.

A released text is never edited, because people answered and signed exactly these words. A city that changes one adds
a version to `DISCLOSURES` or `AGREEMENTS` in every language, and makes it the current one. The only placeholders are
`{office}`, `{reports}` (one sentence for each category of mandatory reports that the city has configured) and, in the
agreement, `{reference}`.

Source: DESIGN, sections 1 and 3; DOMAIN, "Confidentiality" and trap 26.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from mediation_api.domain.values import ReportCategory

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "es": "Español"})
"""The language tags in which every text exists, and what each language calls itself."""

DISCLOSURE_VERSION = "2026-11"
AGREEMENT_VERSION = "2026-11"


class TextKind(StrEnum):
    """What a text is for."""

    DISCLOSURE = "disclosure"
    """Shown to a party before it answers."""
    CONFIDENTIALITY = "confidentiality"
    """Signed by everybody who attends, before a session starts."""
    RESOLUTION = "resolution"
    """Terms of the parties' own, if they reach any. There is no template: nobody writes them for the parties."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is shown and signed. `sha256` is the lower-case hex hash of `body` in UTF-8; `body` is in NFC."""

    kind: TextKind
    version: str
    languages: tuple[str, ...]
    body: str
    sha256: str

    @classmethod
    def of(cls, kind: TextKind, version: str, languages: tuple[str, ...], body: str) -> Self:
        """Make a text, with its body in NFC and its hash."""
        return cls(kind, version, languages, unicodedata.normalize("NFC", body), text_hash(body))


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered point of a text."""

    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A template in one language: its title, what it is about, and its sections in order, by a key shared by all.

    `reports` is what it says of each category of mandatory reports.
    """

    title: str
    about: str
    sections: Mapping[str, Section]
    reports: Mapping[ReportCategory, str]

    def lay_out(self, categories: Iterable[ReportCategory], **values: str) -> str:
        """The text that names exactly these categories, each in its own sentence, in the order of the enum."""
        sections = (f"{n}. {s.heading}\n{s.body}\n" for n, s in enumerate(self.sections.values(), start=1))
        template = "\n".join([f"{self.title}\n\n{self.about}\n", *sections])
        chosen = frozenset(categories)
        reports = " ".join(self.reports[each] for each in ReportCategory if each in chosen)
        return template.format(reports=reports, **values)


def text_hash(body: str) -> str:
    """Return the lower-case hex SHA-256 of a text's NFC form in UTF-8: what a signature is bound to."""
    return hashlib.sha256(unicodedata.normalize("NFC", body).encode()).hexdigest()


def signed_hash(body: str, languages: Sequence[str], *, terms_confidential: bool) -> str:
    """Return the hash that a signature on an agreement is bound to: of the text with what was agreed about it.

    Two lines and an empty one stand before the text, so that other languages, or terms that are confidential or no
    longer are, make another text: `languages: en, es`, `terms_confidential: true`.
    """
    confidential = "true" if terms_confidential else "false"
    return text_hash(f"languages: {', '.join(languages)}\nterms_confidential: {confidential}\n\n{body}")


def disclosure(
    language: str, office: str, categories: Iterable[ReportCategory], *, version: str = DISCLOSURE_VERSION
) -> Text | None:
    """Return what a party on either side is shown before it answers, or None in a language or version without one."""
    wording = DISCLOSURES.get(version, {}).get(language)
    if wording is None:
        return None
    return Text.of(TextKind.DISCLOSURE, version, (language,), wording.lay_out(categories, office=office))


def disclosed_categories(body: str) -> frozenset[ReportCategory]:
    """Return the categories of mandatory reports that a disclosure or an agreement names, in whichever language."""
    text = unicodedata.normalize("NFC", body)
    released = (wording for texts in (DISCLOSURES, AGREEMENTS) for each in texts.values() for wording in each.values())
    return frozenset(
        category
        for wording in released
        for category, sentence in wording.reports.items()
        if unicodedata.normalize("NFC", sentence) in text
    )


def render_agreement(
    languages: Sequence[str],
    office: str,
    reference: str,
    categories: Iterable[ReportCategory],
    *,
    version: str = AGREEMENT_VERSION,
) -> Text | None:
    """Return one confidentiality agreement in the given languages, so that all who sign it sign the same bytes.

    The languages come in the given order, each once: fix the order per case, since another order is another text.
    Returns None when no language is given, or one of them, or the version, has no agreement.
    """
    wordings = AGREEMENTS.get(version, {})
    chosen = tuple(dict.fromkeys(languages))
    if not chosen or not wordings.keys() >= set(chosen):
        return None
    named = tuple(categories)
    bodies = [wordings[language].lay_out(named, office=office, reference=reference) for language in chosen]
    if len(chosen) > 1:
        # A numbered heading in the reader's own language, so that each finds their part and sees there are others.
        names = [f"[{n}/{len(chosen)}] {LANGUAGES[language]}" for n, language in enumerate(chosen, start=1)]
        bodies = [f"{name}\n\n{body}" for name, body in zip(names, bodies, strict=True)]
    return Text.of(TextKind.CONFIDENTIALITY, version, chosen, "\n\n".join(bodies))


_REPORTS_EN: Mapping[ReportCategory, str] = MappingProxyType(
    {
        ReportCategory.CHILD_ABUSE: "By law, some people must report to the authorities when they learn that a child "
        "is abused or neglected.",
        ReportCategory.ADULT_ABUSE: "By law, some people must report to the authorities when they learn that an older "
        "or dependent adult is abused.",
        ReportCategory.IMMINENT_HARM: "By law, some people must report to the authorities what is needed to stop a "
        "crime that could kill or hurt someone.",
        ReportCategory.CRIMINAL_ADMISSION: "By law, some people must report to the authorities when someone admits to "
        "certain criminal acts.",
        ReportCategory.WITNESSED_MISCONDUCT: "By law, a police officer who saw certain misconduct by another officer "
        "must report it.",
    }
)

_REPORTS_ES: Mapping[ReportCategory, str] = MappingProxyType(
    {
        ReportCategory.CHILD_ABUSE: "Por ley, algunas personas tienen que informar a las autoridades cuando saben que "
        "un niño o una niña sufre maltrato o abandono.",
        ReportCategory.ADULT_ABUSE: "Por ley, algunas personas tienen que informar a las autoridades cuando saben que "
        "alguien maltrata a una persona mayor o dependiente.",
        ReportCategory.IMMINENT_HARM: "Por ley, algunas personas tienen que informar a las autoridades lo necesario "
        "para impedir un delito que pueda matar o herir a alguien.",
        ReportCategory.CRIMINAL_ADMISSION: "Por ley, algunas personas tienen que informar a las autoridades cuando "
        "alguien admite ciertos delitos.",
        ReportCategory.WITNESSED_MISCONDUCT: "Por ley, un agente de policía que vio ciertas faltas de otro agente "
        "tiene que informar de ellas.",
    }
)

_DISCLOSURE_EN = Wording(
    reports=_REPORTS_EN,
    title="Before you answer: what mediation means for you",
    about="Office: {office}",
    sections={
        "mediation": Section(
            "What mediation is",
            "We are asking if you want to take part in mediation. "
            "Mediation is a talk between a person who made a complaint and the police officer it is about. "
            "A professional mediator leads the talk and takes no side. "
            "Each person can explain how they see what happened. "
            "Everyone we ask gets this same text. "
            "Please read it before you answer. "
            "You can ask us questions first. "
            "You can also talk to a lawyer, a union representative or someone you trust.",
        ),
        "voluntary": Section(
            "It is your choice",
            "You do not have to take part. "
            "You can say yes or no, and you do not have to give a reason. "
            "Saying no will not be held against you. "
            "Nobody may pressure you to say yes or no. "
            "If someone does, please tell us.",
        ),
        "private_answer": Section(
            "Your answer is private",
            "We ask an officer only after a person who complained has said yes. "
            "Apart from that, we do not tell your answer to the other people while they are still being asked. "
            "If mediation does not take place, we tell them only that. "
            "We do not tell them who said no, or why.",
        ),
        "withdraw": Section(
            "You can stop at any time",
            "If you say yes now, you can still change your mind. "
            "You can stop before the session, or in the middle of it. "
            "You do not have to give a reason. "
            "Just tell us or the mediator, in any way you like.",
        ),
        "no_admission": Section(
            "You do not have to say anything",
            "You decide what you want to say. "
            "You do not have to apologize. "
            "You do not have to admit that you did something wrong. "
            "The same is true for everyone else. "
            "Only threats, abuse and insults are not allowed.",
        ),
        "no_judgment": Section(
            "Nobody decides who is right",
            "The mediator is not a judge. "
            "Nobody in mediation decides who is right or wrong. "
            "There is no finding of fault.",
        ),
        "confidential": Section(
            "What is said is confidential",
            "Everyone signs a confidentiality agreement before the session starts. "
            "It is legally binding. "
            "What people say in mediation cannot be used later. "
            "It cannot be used in an investigation, to discipline an officer, or in court. "
            "You may still talk about what happened before the mediation.",
        ),
        "exception": Section(
            "The one exception",
            "There is one exception. "
            "{reports} "
            "This is called mandatory reporting. "
            "You can ask us what must be reported before you answer. "
            "The mediator will explain it again before you sign.",
        ),
        "if_mediated": Section(
            "If mediation takes place",
            "Mediation takes the place of the ordinary complaint process. "
            "When it is completed, the complaint is closed without a finding. "
            "This means that nobody will decide if a rule was broken. "
            "This is so even if you do not reach an agreement with each other. "
            "There is no appeal.",
        ),
        "if_not_mediated": Section(
            "If mediation does not take place",
            "The complaint goes back to the ordinary process. "
            "The same happens if mediation starts but is not completed. "
            "Nothing that was said in mediation goes with it. "
            "Nobody there is told if you, or anyone else, said no to mediation. "
            "If only some people take part, mediation can go on with them. "
            "The part of the complaint that concerns the others goes back to the ordinary process.",
        ),
        "minors": Section(
            "If you are under 18",
            "A parent or legal guardian must say yes together with you. They must also be with you at the session.",
        ),
        "help": Section(
            "Interpreter and other help",
            "You can have a qualified interpreter, also for sign language. "
            "You can have other help that you need because of a disability. "
            "All of this is free of charge. "
            "You do not have to bring anyone to interpret for you. "
            "Just tell us what you need.",
        ),
        "paper": Section(
            "On paper or online",
            "You can answer and sign on paper instead of online. You can choose again for each document.",
        ),
        "four_weeks": Section(
            "How long it takes",
            "We try to finish within four weeks. "
            "This is a target, not a promise. "
            "If it takes longer, you do not lose any rights, and mediation can go on.",
        ),
        "version": Section(
            "About this text",
            "This is version 2026-11 of this text. We keep a record of the version that you were shown.",
        ),
    },
)

_DISCLOSURE_ES = Wording(
    reports=_REPORTS_ES,
    title="Antes de responder: qué significa la mediación para usted",
    about="Oficina: {office}",
    sections={
        "mediation": Section(
            "Qué es la mediación",
            "Queremos saber si usted desea participar en una mediación. "
            "Es una conversación entre una persona que presentó una queja y el agente de policía a quien se refiere. "
            "La dirige una persona profesional de la mediación, que no toma partido. "
            "Cada persona puede explicar cómo ve lo que pasó. "
            "Todas las personas a quienes preguntamos reciben este mismo texto. "
            "Por favor, léalo antes de responder. "
            "Antes puede hacernos preguntas. "
            "También puede hablar con un abogado, con su sindicato o con alguien de confianza.",
        ),
        "voluntary": Section(
            "Usted decide",
            "Usted no tiene que participar. "
            "Puede decir que sí o que no, y no tiene que dar un motivo. "
            "Si dice que no, eso no se usará en su contra. "
            "Nadie puede presionarle para que diga que sí o que no. "
            "Si alguien lo hace, por favor díganoslo.",
        ),
        "private_answer": Section(
            "Su respuesta es privada",
            "Preguntamos a un agente solo después de que una persona que presentó la queja haya dicho que sí. "
            "Aparte de eso, no decimos su respuesta a las demás personas mientras todavía les estamos preguntando. "
            "Si no hay mediación, les decimos solo eso. "
            "No les decimos quién dijo que no, ni por qué.",
        ),
        "withdraw": Section(
            "Puede retirarse en cualquier momento",
            "Si ahora dice que sí, todavía puede cambiar de opinión. "
            "Puede retirarse antes de la sesión o en medio de ella. "
            "No tiene que dar un motivo. "
            "Solo díganoslo a nosotros o a quien dirige la mediación, de la forma que prefiera.",
        ),
        "no_admission": Section(
            "No tiene que decir nada",
            "Usted decide qué quiere decir. "
            "No tiene que pedir disculpas. "
            "No tiene que admitir que hizo algo malo. "
            "Lo mismo vale para todas las demás personas. "
            "Lo único que no se permite son las amenazas, el maltrato y los insultos.",
        ),
        "no_judgment": Section(
            "Nadie decide quién tiene razón",
            "La persona que dirige la mediación no es juez. "
            "En la mediación nadie decide quién tiene razón y quién no. "
            "Nadie determina quién tuvo la culpa.",
        ),
        "confidential": Section(
            "Lo que se dice es confidencial",
            "Todas las personas firman un acuerdo de confidencialidad antes de que empiece la sesión. "
            "Este acuerdo tiene fuerza legal: hay que cumplirlo. "
            "Lo que se dice en la mediación no se puede usar después. "
            "No se puede usar en una investigación, ni para sancionar a un agente, ni ante un tribunal. "
            "Usted todavía puede hablar de lo que pasó antes de la mediación.",
        ),
        "exception": Section(
            "La única excepción",
            "Hay una excepción. "
            "{reports} "
            "A esto se le llama reporte obligatorio (en inglés, mandatory reporting). "
            "Antes de responder, puede preguntarnos qué se tiene que reportar. "
            "Quien dirige la mediación lo explicará otra vez antes de que usted firme.",
        ),
        "if_mediated": Section(
            "Si hay mediación",
            "La mediación toma el lugar del proceso normal de quejas. "
            "Cuando se completa, la queja se cierra sin ninguna conclusión. "
            "Esto quiere decir que nadie decidirá si alguien incumplió una regla. "
            "Es así aunque ustedes no lleguen a un acuerdo entre sí. "
            "No se puede apelar.",
        ),
        "if_not_mediated": Section(
            "Si no hay mediación",
            "La queja vuelve al proceso normal. "
            "Lo mismo pasa si la mediación empieza, pero no se completa. "
            "Nada de lo que se dijo en la mediación pasa a ese proceso. "
            "Allí no se le dice a nadie si usted, u otra persona, dijo que no a la mediación. "
            "Si solo participan algunas personas, la mediación puede seguir con ellas. "
            "La parte de la queja que trata de las demás vuelve al proceso normal.",
        ),
        "minors": Section(
            "Si usted tiene menos de 18 años",
            "Su padre, su madre o su tutor legal tiene que decir que sí junto con usted. "
            "También tiene que estar con usted en la sesión.",
        ),
        "help": Section(
            "Intérprete y otra ayuda",
            "Puede tener un intérprete calificado, también de lengua de señas. "
            "Puede tener otra ayuda que necesite por una discapacidad. "
            "Todo esto es gratis. "
            "No tiene que traer a nadie para que le interprete. "
            "Solo díganos qué necesita.",
        ),
        "paper": Section(
            "En papel o por internet",
            "Puede responder y firmar en papel en vez de por internet. Puede elegir de nuevo para cada documento.",
        ),
        "four_weeks": Section(
            "Cuánto tiempo toma",
            "Tratamos de terminar en cuatro semanas. "
            "Es una meta, no una promesa. "
            "Si toma más tiempo, usted no pierde ningún derecho, y la mediación puede seguir.",
        ),
        "version": Section(
            "Sobre este texto",
            "Esta es la versión 2026-11 de este texto. Guardamos constancia de la versión que se le mostró.",
        ),
    },
)

_AGREEMENT_EN = Wording(
    reports=_REPORTS_EN,
    title="Agreement to keep mediation confidential, with ground rules",
    about="Office: {office}\nCase: {reference}",
    sections={
        "purpose": Section(
            "What this agreement is for",
            "In mediation, people need to be able to speak freely. "
            "This agreement protects what they say. "
            "It also sets the ground rules for the session. "
            "It is legally binding. "
            "Please read all of it before you sign. "
            "You can ask questions first. "
            "You can also talk to a lawyer, a union representative or someone you trust.",
        ),
        "voluntary": Section(
            "We are here by choice",
            "Each of us takes part by choice. "
            "Anyone may leave at any time, and does not have to give a reason. "
            "Nobody has to speak, to apologize or to admit anything. "
            "The mediator is not a judge. "
            "Nobody decides who is right, and there is no finding of fault.",
        ),
        "bound": Section(
            "Who is bound",
            "This agreement binds everyone who signs it. "
            "Everyone who attends signs before the session starts:\n"
            "- the people who made the complaint\n"
            "- the police officers\n"
            "- parents or guardians\n"
            "- the mediators\n"
            "- interpreters\n"
            "- support persons",
        ),
        "confidential": Section(
            "What is confidential",
            "What people say, write or show for the mediation is confidential. "
            "This includes private talks with the mediator. "
            "It includes talks before and after the session that are part of the mediation. "
            "None of us will tell other people about it. "
            "This stays so after the mediation ends, and after anyone leaves it.",
        ),
        "not_covered": Section(
            "What this agreement does not cover",
            "This agreement is only about the mediation. "
            "You may still talk about what happened before it. "
            "Records that were not made for the mediation, such as reports or videos, stay what they are. "
            "They do not become secret because someone shows them here.",
        ),
        "non_use": Section(
            "It cannot be used later",
            "None of us will use what was said in mediation against anyone. "
            "It cannot be used in an investigation or to discipline an officer. "
            "It cannot be used in a lawsuit, in court or in any other hearing. "
            "None of us will ask another person to tell what was said.",
        ),
        "mediator_witness": Section(
            "The mediator will not be a witness",
            "None of us will call the mediator as a witness. None of us will ask for the mediator's notes.",
        ),
        "exception": Section(
            "The one exception",
            "There is one exception. "
            "{reports} "
            "This is called mandatory reporting. "
            "This agreement does not stop such a report. "
            "Before you sign, the mediator explains who must report, and what. "
            "This agreement cannot change the law. "
            "If the law sets other limits, the mediator explains them too.",
        ),
        "ground_rules": Section(
            "Ground rules",
            "We all agree to these rules:\n"
            "- We treat each other with respect.\n"
            "- We let each person explain how they see what happened.\n"
            "- We do not threaten or abuse anyone.\n"
            "- We do not insult anyone or act in an uncivil way.\n"
            "The mediator may end the session if someone breaks these rules. "
            "The office then records only that the mediator ended it. "
            "It does not record who broke a rule.",
        ),
        "no_recording": Section(
            "No recording",
            "Nobody may record sound, pictures or video of the session. "
            "This is also true when the session is held by video.",
        ),
        "notes": Section(
            "Notes",
            "The mediator's notes are private. "
            "The mediator does not give them to anyone, and destroys them when the mediation ends.",
        ),
        "records": Section(
            "What the office keeps",
            "The office keeps each answer about taking part, and this agreement with its signatures. "
            "It keeps the dates, who attended, and if the mediation was completed. "
            "It does not keep what was said, and does not pass it on to the police department. "
            "If there was a mandatory report, it keeps only its kind, who received it, and when.",
        ),
        "later_agreement": Section(
            "If we reach an agreement with each other",
            "We do not have to reach an agreement with each other. "
            "If we do, we may put its terms in writing. "
            "Those terms are confidential only if all of us agree to that in writing.",
        ),
        "complaint": Section(
            "What happens to the complaint",
            "If the mediation is completed, the complaint is closed without a finding. "
            "This is so even if we do not reach an agreement. "
            "There is no appeal. "
            "If the mediation is not completed, the complaint goes back to the ordinary process. "
            "Nothing that was said goes with it.",
        ),
        "minors": Section(
            "People under 18",
            "A parent or legal guardian signs together with a person under 18. "
            "They are also with that person at the session.",
        ),
        "signing": Section(
            "Signing",
            "You do not have to sign. "
            "If someone does not sign, the session does not start, and the office does not say who it was. "
            "You can sign on paper instead of online, and choose again for each document. "
            "You can have an interpreter or other help with this agreement, free of charge. "
            "All of us sign exactly the same text. "
            "If the text changes, all of us must sign again. "
            "You can get a copy.",
        ),
        "languages": Section(
            "Languages",
            "This agreement may be written in more than one language. "
            "Every language is meant to say the same. "
            "If they seem to differ, tell the mediator before you sign.",
        ),
        "version": Section(
            "Version",
            "This is version 2026-11 of this agreement.",
        ),
    },
)

_AGREEMENT_ES = Wording(
    reports=_REPORTS_ES,
    title="Acuerdo de confidencialidad de la mediación, con reglas básicas",
    about="Oficina: {office}\nCaso: {reference}",
    sections={
        "purpose": Section(
            "Para qué sirve este acuerdo",
            "En la mediación, las personas tienen que poder hablar con libertad. "
            "Este acuerdo protege lo que dicen. "
            "También fija las reglas básicas de la sesión. "
            "Tiene fuerza legal: hay que cumplirlo. "
            "Por favor, léalo completo antes de firmar. "
            "Antes puede hacer preguntas. "
            "También puede hablar con un abogado, con su sindicato o con alguien de confianza.",
        ),
        "voluntary": Section(
            "Participamos porque queremos",
            "Cada persona participa por decisión propia. "
            "Cualquiera puede retirarse en cualquier momento, y no tiene que dar un motivo. "
            "Nadie tiene que hablar, pedir disculpas ni admitir nada. "
            "La persona que dirige la mediación no es juez. "
            "Nadie decide quién tiene razón ni quién tuvo la culpa.",
        ),
        "bound": Section(
            "A quién obliga",
            "Este acuerdo obliga a todas las personas que lo firman. "
            "Todas las personas que asisten firman antes de que empiece la sesión:\n"
            "- las personas que presentaron la queja\n"
            "- los agentes de policía\n"
            "- los padres, las madres o los tutores\n"
            "- quienes dirigen la mediación\n"
            "- los intérpretes\n"
            "- las personas de apoyo",
        ),
        "confidential": Section(
            "Qué es confidencial",
            "Lo que las personas dicen, escriben o muestran para la mediación es confidencial. "
            "Esto incluye las conversaciones privadas con quien dirige la mediación. "
            "Incluye las conversaciones de antes y después de la sesión que son parte de la mediación. "
            "Ninguno de nosotros contará nada de esto a otras personas. "
            "Sigue siendo así cuando termina la mediación, y cuando alguien se retira.",
        ),
        "not_covered": Section(
            "Qué no cubre este acuerdo",
            "Este acuerdo trata solo de la mediación. "
            "Usted todavía puede hablar de lo que pasó antes. "
            "Los documentos que no se hicieron para la mediación, como informes o videos, siguen siendo lo que son. "
            "No se vuelven secretos porque alguien los muestre aquí.",
        ),
        "non_use": Section(
            "No se puede usar después",
            "Ninguno de nosotros usará contra nadie lo que se dijo en la mediación. "
            "No se puede usar en una investigación ni para sancionar a un agente. "
            "No se puede usar en una demanda, ante un tribunal ni en ninguna otra audiencia. "
            "Ninguno de nosotros pedirá a otra persona que cuente lo que se dijo.",
        ),
        "mediator_witness": Section(
            "Quien dirige la mediación no será testigo",
            "Ninguno de nosotros llamará como testigo a quien dirige la mediación. "
            "Ninguno de nosotros pedirá sus notas.",
        ),
        "exception": Section(
            "La única excepción",
            "Hay una excepción. "
            "{reports} "
            "A esto se le llama reporte obligatorio (en inglés, mandatory reporting). "
            "Este acuerdo no impide ese reporte. "
            "Antes de que usted firme, quien dirige la mediación explica quién tiene que reportar, y qué. "
            "Este acuerdo no puede cambiar la ley. "
            "Si la ley pone otros límites, también los explica.",
        ),
        "ground_rules": Section(
            "Reglas básicas",
            "Todos aceptamos estas reglas:\n"
            "- Nos tratamos con respeto.\n"
            "- Dejamos que cada persona explique cómo ve lo que pasó.\n"
            "- No amenazamos ni maltratamos a nadie.\n"
            "- No insultamos a nadie ni actuamos con grosería.\n"
            "Quien dirige la mediación puede terminar la sesión si alguien no cumple estas reglas. "
            "La oficina anota entonces solo que la terminó quien dirige la mediación. "
            "No anota quién no cumplió una regla.",
        ),
        "no_recording": Section(
            "Sin grabaciones",
            "Nadie puede grabar el sonido, las imágenes ni el video de la sesión. "
            "Esto vale también cuando la sesión se hace por video.",
        ),
        "notes": Section(
            "Notas",
            "Las notas de quien dirige la mediación son privadas. "
            "Esa persona no se las da a nadie, y las destruye cuando termina la mediación.",
        ),
        "records": Section(
            "Qué guarda la oficina",
            "La oficina guarda cada respuesta sobre participar, y este acuerdo con sus firmas. "
            "Guarda las fechas, quién asistió, y si la mediación se completó. "
            "No guarda lo que se dijo, ni se lo cuenta al departamento de policía. "
            "Si hubo un reporte obligatorio, guarda solo de qué tipo fue, quién lo recibió y cuándo.",
        ),
        "later_agreement": Section(
            "Si llegamos a un acuerdo entre nosotros",
            "No tenemos que llegar a un acuerdo entre nosotros. "
            "Si lo hacemos, podemos poner sus términos por escrito. "
            "Esos términos son confidenciales solo si todos lo aceptamos por escrito.",
        ),
        "complaint": Section(
            "Qué pasa con la queja",
            "Si la mediación se completa, la queja se cierra sin ninguna conclusión. "
            "Es así aunque no lleguemos a un acuerdo. "
            "No se puede apelar. "
            "Si la mediación no se completa, la queja vuelve al proceso normal. "
            "Nada de lo que se dijo pasa a ese proceso.",
        ),
        "minors": Section(
            "Personas de menos de 18 años",
            "El padre, la madre o el tutor legal firma junto con la persona que tiene menos de 18 años. "
            "También está con esa persona en la sesión.",
        ),
        "signing": Section(
            "La firma",
            "Usted no tiene que firmar. "
            "Si alguien no firma, la sesión no empieza, y la oficina no dice quién fue. "
            "Puede firmar en papel en vez de por internet, y elegir de nuevo para cada documento. "
            "Puede tener un intérprete u otra ayuda con este acuerdo, gratis. "
            "Todos firmamos exactamente el mismo texto. "
            "Si el texto cambia, todos tenemos que firmar de nuevo. "
            "Puede recibir una copia.",
        ),
        "languages": Section(
            "Idiomas",
            "Este acuerdo puede estar escrito en más de un idioma. "
            "Todos los idiomas deben decir lo mismo. "
            "Si le parece que no dicen lo mismo, dígaselo a quien dirige la mediación antes de firmar.",
        ),
        "version": Section(
            "Versión",
            "Esta es la versión 2026-11 de este acuerdo.",
        ),
    },
)

DISCLOSURES: Mapping[str, Mapping[str, Wording]] = MappingProxyType(
    {"2026-11": MappingProxyType({"en": _DISCLOSURE_EN, "es": _DISCLOSURE_ES})}
)
"""Every disclosure ever released, by version and language."""

AGREEMENTS: Mapping[str, Mapping[str, Wording]] = MappingProxyType(
    {"2026-11": MappingProxyType({"en": _AGREEMENT_EN, "es": _AGREEMENT_ES})}
)
"""Every confidentiality agreement ever released, by version and language."""
