"""The text of the committed contract: what fits on a line is on one, so that a diff shows what changed and no more."""

import json

WIDTH = 140


def text_of(contract: object) -> str:
    """Return the contract as JSON: indented by one space, with short objects and lists on one line."""
    return _rendered(contract, indent=0, before=0) + "\n"


def _rendered(value: object, *, indent: int, before: int, dense: bool = False) -> str:
    """Return the text of a value; `before` is the number of characters that stand before it on its line.

    `dense` is for examples, in which short entries share a line.
    """
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + before + len(line) < WIDTH:
        return line
    margin = " " * (indent + 1)
    keys = [f"{json.dumps(name)}: " for name in value] if isinstance(value, dict) else [""] * len(value)
    parts = [
        key + _rendered(each, indent=indent + 1, before=len(key), dense=dense or key == '"examples": ')
        for key, each in zip(keys, value.values() if isinstance(value, dict) else value, strict=True)
    ]
    if dense or _is_all_references(value) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        parts = _filled(parts, WIDTH - len(margin))
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{margin}" + f",\n{margin}".join(parts) + f"\n{' ' * indent}{end}"


def _is_all_references(value: dict[str, object] | list[object]) -> bool:
    """Return whether all entries are references, of which several stand on a line."""
    entries = value.values() if isinstance(value, dict) else value
    return all(isinstance(each, dict) and each.keys() == {"$ref"} for each in entries)


def _filled(words: list[str], width: int) -> list[str]:
    """Return lines with as many words as fit on each, separated by commas."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 <= width and "\n" not in lines[-1] + word:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines
