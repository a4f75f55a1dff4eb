"""Employee numbers as they are compared: a person writes `k-4471`, a token says `K4471`, and both are one officer."""

import unicodedata


def folded(number: str) -> str:
    """Return an employee number without case and separators, for comparison alone; never shown.

    Only letters and digits are kept, in Unicode's compatibility form. Leading zeros count: `0071` and `71` may be two
    officers, and to take one for the other would open a stranger's case.
    """
    text = unicodedata.normalize("NFKC", number).casefold()
    return "".join(character for character in text if character.isalnum())
