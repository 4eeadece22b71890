"""Metrics in what a program prints, one line at a time; a line that may be prose or configuration gives nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.primary_metric import names_a_metric
from store.readers.metric_lines import MAX_KEY_CHARS, MetricLineError, load_object, read_record, to_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.readers.carry import Carry

PARSER_VERSION: Final = 2
"""Raised whenever a line can give another result, so that stored points can be told apart or parsed again."""
MAX_LINE_CHARS: Final = 16 * 1024

# Every quantifier that another attempt could repeat is possessive: the time stays linear on hostile lines.
_NUM: Final = r"[-+]?(?:(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+|nan|NaN|NAN|[iI]nf(?:inity)?+)"
_KEY: Final = r"[^\W\d][\w./@%-]*+"
_KEY_START: Final = r"(?<![\w/.@%?&:'\"$#~+\\-])"
_UNIT: Final = (
    r"(?:it/s|s/it|ms/step|[mun]?s/step|tok(?:ens)?/s(?:ec)?|samples/s(?:ec)?|[KMGT]?i?B(?:/s)?|bytes"
    r"|[mun]?s|secs?|seconds?|mins?|minutes?|h|hours?|[KM])"
)
# No time (12:30), date, fraction, version, list of digits (10,740,096) and no unit may follow.
_VALUE_END: Final = rf"(?:%(?!\w)|(?![\w:/%]|\.\w|,\d|-\d|\s?{_UNIT}\b))"
_PAIR: Final = re.compile(rf"{_KEY_START}({_KEY}(?:'s(?:\s[\w@.-]++){{1,2}}+)?+)(\s*+[=:]\s*+)({_NUM}){_VALUE_END}")
_PAIR_HINT: Final = re.compile(
    r"[=:](?:(?<![\s:T\[]\d\d:)(?<!^\d\d:)|(?=\s))\s*+['\"]?(?:[-+]?(?:\.?\d|nan|NaN|NAN|[iI]nf)|(?:tensor|np|numpy|float|int)[\w.]*+\()"
)
_DIGIT: Final = re.compile(r"\d")
_STEP: Final = re.compile(
    r"(?<![\w.?&-])(global_step|epoch|step|iter(?:ation)?)(?:\s?\((?:train|val|test)\))?"
    r"\s*+[:=#]?\s*+\[?\s*+(\d{1,18})(?!\d)(?:\s*+/\s*+\d++|\s++of\s++\d++)?+(?!\w|\.\d|:\d)",
    re.IGNORECASE,
)
_STEP_WORDS: Final = ("epoch", "step", "iter")
_STEP_RANKS: Final = {"global_step": 0, "step": 1, "iteration": 2, "iter": 2, "epoch": 3}
_EPOCH_RANK: Final = 3
STEP_LIMIT: Final = 2**63 - 1
_ITERATION: Final = re.compile(r"\[(\d{1,18})\]\s++")
_NUMBERED: Final = re.compile(r"(\d{1,18}):\t(?=learn:)")  # CatBoost
_WORD_NUMBER: Final = re.compile(rf"({_NUM})(%?)")
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]|\][^\x07\x1b]*+(?:\x07|\x1b\\)?+|[@-Z\\^_])")
_LEVEL: Final = r"(?:DEBUG|INFO|WARN(?:ING)?+|ERROR|CRITICAL|TRACE|NOTICE)\b"
_TIME_OF_DAY: Final = r"\d\d:\d\d:\d\d(?:[.,]\d++)?+"
_LOG_PREFIX: Final = re.compile(
    rf"(?:(?:\[?\d{{4}}[-/]\d\d[-/]\d\d(?:[T\s]{_TIME_OF_DAY}(?:Z|[+-]\d\d:?\d\d)?+)?+\]?|\[?{_TIME_OF_DAY}\]?|\[\d\d/\d\d\s{_TIME_OF_DAY}\]"
    rf"|\[?{_LEVEL}\]?(?::[A-Za-z_][\w.]*+:)?+|\[?rank\s?\d++\]?|[IWEF]\d{{4}}\s{_TIME_OF_DAY}\s++\d++\s[\w.]++:\d++\]"
    rf"|[A-Za-z_][\w.]*+(?=\s*+[-|:]?\s*+\[?{_LEVEL})|[A-Za-z_][\w.]*+:[\w<>]++:\d++(?=\s-\s))[\s|:-]*+)+"
)
# A pair whose number _PAIR refuses; then what progress bars, clocks and table rules leave behind.
_REFUSED_PAIR: Final = re.compile(rf"{_KEY_START}{_KEY}\s*+[=:]\s*+[-+]?\.?\d[\w.:/%,<?+-]*+(?:\s?{_UNIT}\b)?+")
_JUNK: Final = re.compile(
    rf"(?<!\w)\d[\w.:/%,<?+-]*+(?:\s?{_UNIT}\b)?+|[^\w]++|_++"
    r"|\b(?:train(?:ing)?|val(?:id(?:ation)?)?|test|eval(?:uation)?|set|results?|metrics?|it/s|ms/step)\b",
    re.IGNORECASE,
)
_CALL: Final = re.compile(r"\w\([^()=]*+=")
_WRAPPED_NUMBER: Final = re.compile(rf"\b(?:tensor|(?:np\.|numpy\.)?(?:float|int)\d\d)\(({_NUM})[^()]*+\)")
_EXCEPTION: Final = re.compile(r"[a-z](?:Error|Exception|Warning)\b(?!\s*+=)")
_PARENTHESES: Final = re.compile(r"\([^()]*+\)")
_SEGMENT_END: Final = re.compile(r"[,|;\t:\[\]]|\s-\s")
_WHOLE_UNIT: Final = re.compile(_UNIT)
_WHOLE_KEY: Final = re.compile(_KEY)
_PYTHON_TOKEN: Final = re.compile(
    r"""'((?:[^'\\]|\\.)*+)(?:'|\Z)|"(?:[^"\\]|\\.)*+(?:"|\Z)|\b(None|True|False|nan|inf)\b""", re.DOTALL
)
_JSON_WORDS: Final = {"None": "null", "True": "true", "False": "false", "nan": "NaN", "inf": "Infinity"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_METRICS: Final = _words(
    """v_num eta pid rank local_rank world_size port version line gpu device error errors warning warnings info debug
    note fatal critical exit_code exitcode returncode code status localhost epoch step iter iteration global_step"""
)
_NO_WORD_KEYS: Final = _NO_METRICS | _words(
    """a an the at in on of to for from with by than then is was are after before about over and or took got has
    only every last next first"""
)
_CONFIG_PARTS: Final = _words(
    """lr learning rate batch size dim dims num n max min epochs steps rounds iters iterations seed dropout hidden
    layers layer heads head embd block workers threads port rank world device devices gpus beta betas beta1 beta2 alpha
    gamma lambda eps epsilon decay momentum leaves depth width height warmup interval every temperature top version id
    pid timeout exit code rc status retries patience estimators trees bins vocab vocab_size context length nodes node
    line col elapsed time eta memory total count samples examples rows cols columns params parameters"""
)
_CONFIG_WORDS: Final = re.compile(
    r"\b(?:config|configuration|args|arguments|hparams|params|options|settings)\b", re.IGNORECASE
)
_QUALIFIERS: Final = _words(
    """train training val valid validation test testing eval dev avg average mean median best final total running macro
    micro weighted balanced roc pr f1 f2 squared absolute root log cross entropy accuracy precision recall"""
)
_SCHEDULED: Final = ("lr", "learning_rate")
_FILE_ENDINGS: Final = (
    ".py", ".c", ".cc", ".cpp", ".cu", ".h", ".rs", ".js", ".ts", ".sh", ".go", ".ipynb", ".json", ".yaml", ".yml",
    ".toml", ".log", ".txt", ".csv", ".pt", ".pth", ".ckpt", ".so", ".com", ".org", ".local",
)  # fmt: skip
_MAX_UNEXPLAINED_WORDS: Final = 3
_MAX_KEY_WORDS: Final = 4
_known_metric: Final = lru_cache(maxsize=4096)(names_a_metric)  # a run prints the same few keys on every line


@dataclass(slots=True)
class _Found:
    """What a line holds. `unexplained` are words that are neither key, number, unit nor part of a progress bar."""

    values: dict[str, float]
    unexplained: list[str]
    step: int | None = None
    epoch: int | None = None  # beside a step that is finer
    is_epoch: bool = False  # the step is an epoch
    tight: bool = True  # every pair is written key=value
    bare: bool = True  # nothing but pairs and separators


def parse_log_line(line: str, carry: Carry) -> tuple[int, dict[str, float]] | None:
    """The step and the metrics of one printed line, or None; `carry` is brought up to date. Never raises.

    LightGBM's `valid_0's auc` becomes `valid_0/auc`; words such as `Train` in front of a key join it: `Train_Loss`.
    A line without a step of its own takes the carried one; when there is none and the line is made of pairs only,
    it takes `carry.auto_step`, which counts such lines from 0.
    """
    text = line.rstrip()
    if "\r" in text:
        text = text[text.rfind("\r") + 1 :]
    if len(text) > MAX_LINE_CHARS:
        return None
    lowered = text.lower()
    has_step_word = "epoch" in lowered or "step" in lowered or "iter" in lowered
    if has_step_word:
        if not _DIGIT.search(text):
            return None
    elif not (("=" in text or ":" in text) and _PAIR_HINT.search(text)):
        return None
    text = without_colours(text).strip()
    prefix = _LOG_PREFIX.match(text)
    if prefix:
        text = text[prefix.end() :]
    if _is_report_of_an_exception(text):
        return None
    if "(" in text:
        text = _WRAPPED_NUMBER.sub(r"\1", text)
    decoded = _decode_object(text)
    found = _read_object(*decoded, carry) if decoded else _read_text(text, has_step_word, carry)
    return _settle(found, carry) if found else None


def without_colours(text: str) -> str:
    """The text without what a terminal takes for colours and movements."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def _settle(found: _Found, carry: Carry) -> tuple[int, dict[str, float]]:
    if found.step is not None:
        carry.step = min(carry.place(found.step, found.epoch, is_epoch=found.is_epoch), STEP_LIMIT)
    if carry.step is not None:
        return carry.step, found.values
    carry.auto_step += 1
    return carry.auto_step - 1, found.values


def _is_report_of_an_exception(text: str) -> bool:
    return ("Error" in text or "Exception" in text or "Warning" in text) and _EXCEPTION.search(text) is not None


def _read_text(text: str, has_step_word: bool, carry: Carry) -> _Found | None:
    if _CALL.search(text):
        return None
    iteration = _ITERATION.match(text)
    if iteration:
        found = _read_pairs(text[iteration.end() :], word_numbers=False)
        found.step = int(iteration[1])
        return found if found.values and not found.unexplained else None
    iteration = _NUMBERED.match(text)
    named, text = _take_step(text) if has_step_word else (None, text)
    if named is None and iteration:
        named, text = _Named(int(iteration[1])), text[iteration.end() :]
    found = _read_pairs(text, word_numbers=named is not None)
    if named is not None:
        found.step, found.epoch, found.is_epoch = named
        if not found.values and not found.unexplained:
            carry.step = carry.place(*named[:2], is_epoch=named.is_epoch)
    return found if _is_measurement(found, carry) else None


def _is_measurement(found: _Found, carry: Carry) -> bool:
    """Whether to believe the numbers of a line: the less it says about its step, the cleaner it must be."""
    if not found.values:
        return False
    configuration = all(_is_configuration(key) for key in found.values)
    if found.step is not None:
        return not found.unexplained or (
            len(found.unexplained) <= _MAX_UNEXPLAINED_WORDS and any(map(_known_metric, found.values))
        )
    if found.unexplained:
        return False
    if carry.step is not None:
        return not configuration or all(key.lower() in _SCHEDULED for key in found.values)
    return not configuration and ((found.bare and found.tight) or any(map(_known_metric, found.values)))


class _Named(NamedTuple):
    """The step that a text names."""

    step: int
    epoch: int | None = None
    is_epoch: bool = False


def _take_step(text: str) -> tuple[_Named | None, str]:
    """The finest step that the text names, and the text without any step."""
    steps = [(_STEP_RANKS[match[1].lower()], match.start(), int(match[2])) for match in _STEP.finditer(text)]
    if not steps:
        return None, text
    rank, _, step = min(steps)
    epoch = next((number for each, _, number in steps if each == _EPOCH_RANK), None)
    is_epoch = rank == _EPOCH_RANK
    return _Named(step, None if is_epoch else epoch, is_epoch), _STEP.sub(" | ", text)


def _read_pairs(text: str, *, word_numbers: bool) -> _Found:
    """All `key=value` and `key: value` of a text, and with `word_numbers` also `| loss 0.53 | lr 1e-4`."""
    found = _Found({}, [])
    end = 0
    for match in _PAIR.finditer(text):
        key, separator, number = match.groups()
        gap, qualifiers = _split_qualifiers(text[end : match.start()])
        _explain(gap, found, word_numbers)
        name = "_".join((*qualifiers, key.replace("'s ", "/").replace("'s\t", "/").replace(" ", "_")))
        _put(found.values, name, number)
        found.tight = found.tight and separator == "="
        end = match.end()
    _explain(text[end:], found, word_numbers)
    return found


def _split_qualifiers(gap: str) -> tuple[str, list[str]]:
    """Part the words right before a key that belong to it, as in `Val Loss: 0.4`, from the text before them."""
    if not gap or gap[-1] not in " \t" or gap.isspace():
        return gap, []
    tokens = gap.split(" ")
    qualifiers: list[str] = []
    while tokens and len(qualifiers) < _MAX_KEY_WORDS - 1 and (not tokens[-1] or tokens[-1].lower() in _QUALIFIERS):
        if token := tokens.pop():
            qualifiers.insert(0, token)
    return " ".join(tokens), qualifiers


def _explain(gap: str, found: _Found, word_numbers: bool) -> None:
    if not gap.strip(" \t,|;-"):
        return
    found.bare = False
    gap = _REFUSED_PAIR.sub(" ", gap)
    if word_numbers:
        gap = " | ".join(_take_word_numbers(part, found.values) for part in _segments(gap))
    found.unexplained.extend(_JUNK.sub(" ", gap).split())


def _segments(gap: str) -> Iterable[str]:
    return _SEGMENT_END.split(_PARENTHESES.sub(" ", gap))


def _take_word_numbers(segment: str, values: dict[str, float]) -> str:
    """Take `train loss 0.53 lr 1e-4` out of a segment; returns the words that belong to no number."""
    words: list[str] = []
    after_number = False
    for token in segment.split():
        number = _WORD_NUMBER.fullmatch(token)
        named = _can_name_a_number(words)
        if number and named:
            _put(values, "_".join(words), number[1])
        elif not (token[0].isdigit() and (named or not words)) and not (after_number and _WHOLE_UNIT.fullmatch(token)):
            words.append(token)
            after_number = False
            continue
        words = []
        after_number = True
    return " ".join(words)


def _can_name_a_number(words: list[str]) -> bool:
    if not 0 < len(words) <= _MAX_KEY_WORDS or not all(word.lower() in _QUALIFIERS for word in words[:-1]):
        return False
    return words[-1].lower() not in _NO_WORD_KEYS and _WHOLE_KEY.fullmatch(words[-1]) is not None


def _put(values: dict[str, float], key: str, number: str) -> None:
    if not _is_no_metric(key):
        values[key[:MAX_KEY_CHARS]] = float(number)


@lru_cache(maxsize=4096)
def _is_no_metric(key: str) -> bool:
    lowered = key.lower()
    if lowered in _NO_METRICS or lowered.rpartition("/")[2] in _STEP_RANKS or lowered.endswith(_FILE_ENDINGS):
        return True
    return key.isupper() and "_" in key and not _known_metric(key)  # an environment variable: OMP_NUM_THREADS=4


@lru_cache(maxsize=4096)
def _is_configuration(key: str) -> bool:
    parts = key.lower().replace("-", "_").replace("/", "_").split("_")
    return not _CONFIG_PARTS.isdisjoint(parts) and not _known_metric(parts[-1])  # total_loss is none, map_size is one


def _decode_object(text: str) -> tuple[str, dict[str, Any]] | None:
    """The JSON object or Python dict that ends the line, and the text before it."""
    start = text.find("{") if text.endswith("}") else -1
    if start < 0:
        return None
    body = text[start:]
    for is_python in (False, True) if not body.startswith("{'") else (True,):
        candidate = _PYTHON_TOKEN.sub(_python_token_to_json, body) if is_python else body
        try:
            return text[:start], load_object(candidate.encode("utf-8", "replace"))
        except MetricLineError:
            continue
    return None


def _python_token_to_json(match: re.Match[str]) -> str:
    single, word = match.groups()
    if single is not None:
        return json.dumps(single)
    return _JSON_WORDS[word] if word else match[0]


def _read_object(before: str, record: dict[str, Any], carry: Carry) -> _Found | None:
    if _CONFIG_WORDS.search(before):
        return None
    # Only an epoch written as an integer is a step: Hugging Face counts 0.98, 0.99, 1.0.
    epoch = None if type(record.get("epoch")) is int else to_number(record.pop("epoch", None), booleans=False)
    try:
        parsed = read_record(record, booleans=False)
    except MetricLineError:
        return None
    values = {key: value for key, value in parsed.values.items() if key == "epoch" or not _is_no_metric(key)}
    if epoch is not None:
        values["epoch"] = epoch
    named, before = _take_step(before)
    words = _JUNK.sub(" ", before).split()
    if len(words) > _MAX_UNEXPLAINED_WORDS:
        return None
    if parsed.step is not None:
        named = _Named(parsed.step)
    found = _Found(values, list(parsed.ignored), tight=False)
    if named is not None:
        found.step, found.epoch, found.is_epoch = named
    return found if _is_measurement(found, carry) or (named is not None and any(map(_known_metric, values))) else None
