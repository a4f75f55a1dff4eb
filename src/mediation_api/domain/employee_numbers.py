"""How employee numbers are compared: `k-4471` in a form and `K4471` in a token are the same officer."""

import unicodedata


def folded(number: str) -> str:
    """Return an employee number without case and separators, for comparison only.

    Only letters and digits are kept, in Unicode's compatibility form (NFKC). Leading zeros count: `0071` and `71` may
    be two officers, and confusing them would give one access to the other's case.
    """
    text = unicodedata.normalize("NFKC", number).casefold()
    return "".join(character for character in text if character.isalnum())
