"""The text of the committed contract: what fits on a line is on one, so that a diff shows what changed and no more."""

import json

WIDTH = 120


def text_of(contract: object) -> str:
    """Return the contract as JSON: indented by one space, with short objects and lists on one line."""
    return _rendered(contract, indent=0, before=0) + "\n"


def _rendered(value: object, *, indent: int, before: int) -> str:
    """Return the text of a value; `before` is the number of characters that stand before it on its line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + before + len(line) < WIDTH:
        return line
    margin = " " * (indent + 1)
    if isinstance(value, dict):
        keys = {name: f"{json.dumps(name, ensure_ascii=False)}: " for name in value}
        parts = [
            keys[name] + _rendered(each, indent=indent + 1, before=len(keys[name])) for name, each in value.items()
        ]
    elif all(isinstance(each, str | int) for each in value):
        parts = _filled([json.dumps(each, ensure_ascii=False) for each in value], WIDTH - len(margin))
    else:
        parts = [_rendered(each, indent=indent + 1, before=0) for each in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{margin}" + f",\n{margin}".join(parts) + f"\n{' ' * indent}{end}"


def _filled(words: list[str], width: int) -> list[str]:
    """Return lines with as many words as fit on each, separated by commas."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 <= width:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines
