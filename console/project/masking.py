"""Values that look like secrets, replaced by `***` before anything is shown, indexed or kept. Standard library only.

A value is masked when it has the shape of a known kind of key, when it is the password of a URL, or when it stands
beside a name that says so (`--api-key X`, `TOKEN=X`, `"password": "X"`). A long random text alone is not enough: commit
hashes, run ids and checksums stay as they are.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MASK: Final = "***"
NAMES_KEPT: Final = 4096
SETS_OF_NAMES_KEPT: Final = 64
"""Thousands of runs have the same params."""
PLAIN_WORDS: Final = re.compile(
    r"passwords?|passwd|pwd|passphrase|secrets?|credentials?|apikey|accesskey|secretkey|privatekey|authtoken|accesstoken"
    r"|apitoken|authorization|cookie"
)
"""A name with one of these words is that of a secret."""
KEY_KINDS: Final = re.compile(
    r"api|access|secret|private|auth|signing|encryption|account|master|service|session|ssh|subscription|license"
)
"""`<one of these>_key` is the name of a secret; `primary_key` and `metric_key` are not."""
TOKENS_OF_TEXT: Final = re.compile(
    r"pad|eos|bos|unk|mask|sep|cls|special|image|audio|video|start|end|stop|per|target|prompt|next|first|last|new|max|min"
    r"|num|total|additional|decoder|each|every|single"
)
"""`<one of these>_token` belongs to a tokenizer."""
PLACES: Final = re.compile(r"file|path|dir|folder|url|uri|name|id|type|length|count|len")
"""A name that ends in one of these says where a secret lies or what it is like, not what it is."""
HARMLESS_VALUES: Final = frozenset(
    ["", "none", "null", "true", "false", "yes", "no", "on", "off", "str", "string", "int", "bytes", "optional", MASK]
)
KEY_SHAPES: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"  # several in a row are one
    r"A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # Amazon
    r"|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}"
    r"|hf_[A-Za-z0-9]{20,64}"  # Hugging Face
    r"|sk-(?=[A-Za-z_-]{0,40}[0-9])[A-Za-z0-9_-]{20,300}"  # OpenAI, Anthropic
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|AIza[0-9A-Za-z_-]{35}"  # Google
    r"|glpat-[A-Za-z0-9_-]{20,255}"  # GitLab
    r"|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{20,512}|dckr_pat_[A-Za-z0-9_-]{20,64}"
    r"|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"  # SendGrid
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{5,4000}\.[A-Za-z0-9_-]{5,2000}"  # JSON Web Token
    r")+"
)
PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
URL_PASSWORD: Final = re.compile(r"(://[^/\s:@\"']{0,255}:)([^/\s@\"']{1,1024})(?=@)")
URL_TOKEN: Final = re.compile(r"(://)([A-Za-z0-9_-]{20,255})(?=@)")
BEARER: Final = re.compile(r"\b(Bearer|Basic)( +)([A-Za-z0-9._~+/=-]{8,4096})")
BESIDE_NAME: Final = re.compile(
    r"(?<![\w.-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w.-]{0,99})"
    r"(?P<separator>[\"']?[ \t]*[=:][ \t]*|[ \t]+)"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[^\s\"',;&|<>(){}\[\]]+)(?P<call>\(|\[)?"
)
WORTH_A_LOOK: Final = re.compile(
    r"pass|pwd|secret|token|key|cred|authorization|cookie|bearer|basic|://|akia|asia|gh[pousr]_|github_pat|hf_"
    r"|sk-|xox|aiza|glpat|npm_|pypi-|dckr_|sg\.|eyj"
)
"""Text in lower case without any of this holds nothing that the rules find: most lines are passed over at the speed of
a scan. A pattern that ignores case would take forty times as long."""
NUMBER: Final = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
REFERENCE: Final = re.compile(r"[$%{<@].*|[A-Za-z_]\w*(?:\.\w+)+", re.DOTALL)
"""`$TOKEN`, `<token>`, `args.token`: names a value, is none."""


@lru_cache(NAMES_KEPT)
def is_secret_name(name: str) -> bool:
    """Whether what stands beside this name of an option, a variable or a field should not be seen."""
    if name.upper() in ("PWD", "OLDPWD"):
        return False
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
    if not words or (PLACES.fullmatch(words[-1]) and words[-2:] != ["key", "id"]):
        return False
    if any(map(PLAIN_WORDS.fullmatch, words)):
        return True
    if any(KEY_KINDS.fullmatch(kind) and key in ("key", "keys") for kind, key in itertools.pairwise(words)):
        return True
    if words[-1] == "key" and len(words) > 1 and name.isupper():
        return True
    if words[-1] == "token":
        return len(words) == 1 or not TOKENS_OF_TEXT.fullmatch(words[-2])
    return words[-1] == "tokens" and len(words) > 1 and words[-2] in ("auth", "access", "api")


@lru_cache(SETS_OF_NAMES_KEPT)
def are_plain(names: tuple[str, ...]) -> bool:
    """Whether these names are shown as they are, and so is what stands beside them when it is plain itself."""
    return not any(is_secret_name(name) or mask_text(name) != name for name in names)


def is_worth_a_look(text: str) -> bool:
    """Whether the rules may find something in a text."""
    return WORTH_A_LOOK.search(text.lower()) is not None


def mask_value(name: str, value: str) -> str:
    """The value of an option or a variable as it may be shown."""
    if is_secret_name(name) and not is_harmless(name, value):
        return MASK
    return mask_text(value)


def mask_mapping(values: Mapping[str, str]) -> dict[str, str]:
    """Params or variables as they may be shown."""
    # Most hold no secret: one look at all of them together tells.
    if are_plain(tuple(values)) and not is_worth_a_look("\n".join(values.values())):
        return dict(values)
    return {mask_text(name): mask_value(name, value) for name, value in values.items()}


def mask_argv(argv: Sequence[str]) -> list[str]:
    """A command line as it may be shown; as many words as before."""
    masked: list[str] = []
    name = ""
    for word in argv:
        if name and not word.startswith("--"):
            masked.append(MASK if not is_harmless(name, word) else word)
            name = ""
            continue
        name = ""
        key, equals, value = word.partition("=")
        bare = key.lstrip("-+~")
        is_script = masked[-1:] == ["-c"]  # of a shell: not one value, however many blanks it has
        if equals and not is_script and re.fullmatch(r"[\w./-]+", bare) and is_secret_name(bare):
            masked.append(f"{key}={value if is_harmless(bare, value) else MASK}")
            continue
        masked.append(mask_text(word))
        if word.startswith("-") and not equals and re.fullmatch(r"[\w.-]+", bare) and is_secret_name(bare):
            name = bare
    return masked


def mask_text(text: str) -> str:
    """Any text as it may be shown: a line of a log, a message, a script. Masking twice changes nothing more."""
    for _ in range(4):
        masked = mask_once(text)
        if masked == text:
            break
        text = masked
    return text


def mask_once(text: str) -> str:
    """One pass; what it leaves may look like a secret only now, beside the mask."""
    if not is_worth_a_look(text):
        return text
    text = PRIVATE_KEY.sub(MASK, text)
    text = KEY_SHAPES.sub(MASK, text)
    text = URL_PASSWORD.sub(rf"\1{MASK}", text)
    text = URL_TOKEN.sub(rf"\1{MASK}", text)
    text = BEARER.sub(lambda found: found[1] + found[2] + (MASK if is_random(found[3]) else found[3]), text)
    return mask_beside_names(text)


def mask_beside_names(text: str) -> str:
    """Values beside secret names; where a name is followed by none, the search goes on right behind that name."""
    pieces: list[str] = []
    done = position = 0
    while found := BESIDE_NAME.search(text, position):
        value = found["value"]
        quote = value[0] if value[0] in "\"'" else ""
        inner = value[1:-1] if quote else value
        if is_secret_name(found["name"]) and is_given(found, inner, quoted=bool(quote)):
            pieces += [text[done : found.start("value")], quote, MASK, quote]
            done = position = found.end("value")
        else:
            position = found.end("name")
    return "".join([*pieces, text[done:]])


def is_given(found: re.Match[str], value: str, *, quoted: bool) -> bool:
    """Whether a text states the value of a secret, rather than speaking of one as code and prose do."""
    name, separator = found["name"], found["separator"]
    if is_harmless(name, value) or found["call"]:
        return False
    if not separator.strip("\"' \t"):  # only blanks between: an option of a command line, else prose
        return found["dashes"] != ""
    if quoted:
        return True
    if REFERENCE.fullmatch(value) or value.lower().replace("-", "_") == name.lower().replace("-", "_"):
        return False
    return ":" not in separator or is_random(value) or "pass" in name.lower()


def is_harmless(name: str, value: str) -> bool:
    """Whether a value beside a secret name gives nothing away: none, a switch, or a count beside `token`."""
    if value.lower() in HARMLESS_VALUES:
        return True
    if "token" not in name.lower():
        return False
    return NUMBER.fullmatch(value) is not None or (value[0] in "<[" and value[-1] in ">]")


def is_random(value: str) -> bool:
    """Whether a text looks made by a machine: long, with digits and letters."""
    return len(value) >= 8 and any(map(str.isdigit, value)) and any(map(str.isalpha, value))
