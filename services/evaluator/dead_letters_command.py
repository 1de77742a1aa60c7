"""`dead-letters list` and `dead-letters send`: what became of messages nobody could use, and trying them again."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime

from services.evaluator.dead_letter_reader import DeadLetterReader
from services.evaluator.dead_letter_sender import send_again
from services.evaluator.dead_letters import TARGETS, Choice, Chosen, Letter, Place
from shared.contracts.topics import DEAD_LETTERS
from shared.domain.times import parse_time
from shared.runtime.process import EXIT_REFUSED, clear_end

NAME = DEAD_LETTERS
"""The command is named after the topic."""

EXIT_INCOMPLETE = 1
"""Not everything that was asked for was found or sent."""

_LISTED = 100
_HEAD_BYTES = 80
_REASONS_LISTED = 20
_TWICE = (
    "An event sent twice counts twice, unless it carries an event_id that its user's events of the last 24 h have;"
    " one without occurred_at counts as of now."
)


def main(bootstrap_servers: str, arguments: list[str], program: str) -> None:
    """Do what the arguments after `dead-letters` ask for.

    Ends with code 1 when a place holds no letter or a letter was not sent, 2 when the command cannot be done, 75 when
    Kafka does not answer.
    """
    options = _parser(program).parse_args(arguments)
    try:
        with clear_end(NAME), DeadLetterReader(bootstrap_servers) as reader:
            code = options.do(reader, bootstrap_servers, options)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_INCOMPLETE
    raise SystemExit(code)


def _list(reader: DeadLetterReader, _: str, options: argparse.Namespace) -> int:
    limit = options.limit or (None if options.places else _LISTED)
    chosen = reader.choose(_choice(options, limit), options.bytes)
    for letter in chosen.letters:
        _say(_as_json(letter) if options.json else _line(letter))
    if not options.json:
        _say(_summary(chosen))
    return _complain_of_missing(chosen)


def _send(reader: DeadLetterReader, bootstrap_servers: str, options: argparse.Namespace) -> int:
    chosen = reader.choose(_choice(options, options.limit), options.bytes)
    code = _complain_of_missing(chosen)
    for letter in chosen.letters:
        if letter.obstacle:
            code = _complain(f"{letter.place} is not sent: {letter.obstacle}")
    letters = [letter for letter in chosen.letters if not letter.obstacle]
    if options.dry_run:
        for letter in letters:
            _say(_line(letter))
        _say(f"{len(letters):,} letters would be sent. {_TWICE}")
        return code
    if letters and not options.yes and not _agreed(len(letters)):
        return EXIT_REFUSED
    acknowledged = 0
    for sent in send_again(bootstrap_servers, reader, letters):
        if sent.fault is None:
            acknowledged += 1
            _say(f"{sent.place} -> {sent.target}")
        else:
            _complain(f"{sent.place}: not acknowledged ({sent.fault}), so it may be sent or not")
    _say(f"{acknowledged:,} of {len(letters):,} letters sent and acknowledged")
    return code if acknowledged == len(letters) else EXIT_INCOMPLETE


def _agreed(count: int) -> bool:
    """Whether a person at the terminal says yes; without a terminal nobody does."""
    if not sys.stdin.isatty():
        _complain("there is no terminal to ask at: --yes sends without asking, --dry-run shows what would be sent")
        return False
    answer = input(f"{_TWICE}\nSend {count:,} letters to where they came from? [y/N] ")
    return answer.strip().casefold() in ("y", "yes")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{program} {NAME}", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="list|send")
    listing = commands.add_parser("list", help="show them, the newest last, and how many there are by reason")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, without the summary")
    sending = commands.add_parser("send", help="send them again to the topic they came from", epilog=_TWICE)
    sending.add_argument("--dry-run", action="store_true", help="only show what would be sent")
    sending.add_argument("--yes", action="store_true", help="do not ask")
    for command, do in ((listing, _list), (sending, _send)):
        command.set_defaults(do=do)
        command.add_argument("places", nargs="*", type=Place.read, help="only these, as <partition>:<offset>")
        command.add_argument("--reason", default="", metavar="TEXT", help="only those whose reason has this text")
        command.add_argument("--source-topic", choices=TARGETS, help="only those that came from it")
        command.add_argument("--since", type=_since_ms, default=0, metavar="TIME", help="2026-01-31T12:00Z or newer")
        command.add_argument("--limit", type=_count, metavar="N", help=f"only the N newest (list: {_LISTED})")
        command.add_argument("--bytes", type=_count, default=_HEAD_BYTES, metavar="N", help="of each value to show")
    return parser


def _choice(options: argparse.Namespace, limit: int | None) -> Choice:
    return Choice(frozenset(options.places), options.reason, options.source_topic, options.since, limit)


def _since_ms(text: str) -> int:
    instant = parse_time(text)
    if instant is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-01-31, or 2026-01-31T12:00Z")
    return instant // 1000


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _line(letter: Letter) -> str:
    """A letter for a person: nothing in it can move the cursor or break the line."""
    origin = letter.origin
    source = (
        "?" if isinstance(origin, str) else f"{origin.source_topic} {origin.source_partition}:{origin.source_offset}"
    )
    again = "" if isinstance(origin, str) or origin.resent_from is None else f"  (resent from {origin.resent_from})"
    more = " ..." if letter.value_bytes and letter.value_bytes > len(letter.head or b"") else ""
    shown = f"{letter.place}  {source}  {_time(letter)}  {letter.reason}{again}  key {_text(letter.key)}"
    return _printable(f"{shown}  value {_text(letter.head)}{more}")


def _as_json(letter: Letter) -> str:
    origin = None if isinstance(letter.origin, str) else letter.origin
    fields = {
        "place": str(letter.place),
        "at": _time(letter),
        "source_topic": origin and origin.source_topic,
        "source_partition": origin and origin.source_partition,
        "source_offset": origin and origin.source_offset,
        "reason": letter.reason,
        "resent_from": origin and origin.resent_from,
        "obstacle": letter.obstacle,
        "key": None if letter.key is None else _text(letter.key),
        "value": None if letter.head is None else _text(letter.head),
        "value_bytes": letter.value_bytes,
    }
    return json.dumps(fields)


def _summary(chosen: Chosen) -> str:
    total, shown = chosen.by_reason.total(), len(chosen.letters)
    lines = [f"{total:,} letters" + (f", the newest {shown:,} are shown" if shown < total else "")]
    lines += [f"{count:>10,}  {_printable(reason)}" for reason, count in chosen.by_reason.most_common(_REASONS_LISTED)]
    if (others := len(chosen.by_reason) - _REASONS_LISTED) > 0:
        lines.append(f"{'':>10}  and {others:,} other reasons")
    return "\n".join(lines)


def _time(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(raw: bytes | None) -> str:
    r"""The bytes as text, those that are no UTF-8 as \xNN; `-` when there are none."""
    return "-" if raw is None else raw.decode(errors="backslashreplace")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _complain_of_missing(chosen: Chosen) -> int:
    code = 0
    for place in chosen.missing:
        code = _complain(f"{place} holds no such letter")
    return code


def _complain(line: str) -> int:
    print(f"{NAME}: {_printable(line)}", file=sys.stderr)  # noqa: T201 - the command's answer
    return EXIT_INCOMPLETE


def _say(lines: str) -> None:
    print(lines)  # noqa: T201 - the command's answer
