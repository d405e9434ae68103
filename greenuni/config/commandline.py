"""The command line and its help, derived from the settings; also what ``GREENUNI_CMD_ARGS`` is read with.

argparse does the work. It is in the standard library and small, while a command line package would stay
in the memory of the arbiter, which never needs it again. Two things are done in front of it: flags that
nobody knows are refused with the nearest known one, and flags of other servers with what to use instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from greenuni import build
from greenuni.config.declare import Setting
from greenuni.config.kinds import nearest
from greenuni.config.settings import SETTINGS, settings_by_section
from greenuni.config.sources import Given, Layer, Origin, Rank
from greenuni.errors import ConfigError

PROGRAM = "greenuni"
USAGE = "greenuni [options] module:attribute"
OWN_FLAGS = ("-h", "--help", "-v", "--version")
HELP_COLUMN = 30
APP_NAME = "APP"  # what the positional argument is called in messages


class Flag(NamedTuple):
    """One spelling on the command line: whose it is, and what its presence or value means."""

    setting: Setting
    template: str = "{}"
    constant: tuple[object, ...] = ()  # one item: takes no value and means this

    def raw(self, value: str | None) -> object:
        """What the flag gives to its setting, if ``value`` stands behind it."""
        return self.constant[0] if self.constant else self.template.format(value)


def _flags() -> Iterator[tuple[str, Flag]]:
    for setting in SETTINGS.values():
        for spelling in setting.flags:
            yield spelling, Flag(setting, constant=(True,) if setting.is_switch else ())
        for spelling in setting.off_flags:
            yield spelling, Flag(setting, constant=(False,))
        for alias in setting.aliases:
            yield alias.flag, Flag(setting, alias.template, alias.constant)


FLAGS: Mapping[str, Flag] = dict(_flags())


def parse_arguments(arguments: Sequence[str], rank: Rank, place: str) -> Layer:
    """What ``arguments`` say. Raises `ConfigError`; ``--help`` and ``--version`` end the process."""
    layer = Layer()
    suffix = "" if rank is Rank.COMMAND_LINE else f" in {place}"
    known = list(_without_foreign(arguments, layer, suffix))
    spoken, left_over = _parser(suffix).parse_known_args(known, argparse.Namespace(given=[]))
    for spelling, value in spoken.given:
        flag = FLAGS[spelling] if spelling else Flag(SETTINGS["wsgi_app"])
        layer.give(Given(flag.setting, flag.raw(value), Origin(rank, place, spelling or APP_NAME)))
    if left_over:
        raise ConfigError(
            f"{left_over[0]!r}{suffix} is one argument too many: one application is served; --mount serves "
            "several"
        )
    return layer


def _without_foreign(arguments: Sequence[str], layer: Layer, suffix: str) -> Iterator[str]:
    """The arguments that argparse will know. Raises `ConfigError` at the first that nobody knows."""
    remaining = iter(arguments)
    for argument in remaining:
        spelling = argument.partition("=")[0]
        if argument == "--":
            yield argument
            yield from remaining
        elif not _looks_like_flag(argument) or _is_known(argument):
            yield argument
            if spelling in FLAGS and spelling == argument and not FLAGS[spelling].constant:
                yield from _next(remaining)
        else:
            layer.note(_judge_foreign(argument, remaining, suffix))


def _looks_like_flag(argument: str) -> bool:
    return len(argument) > 1 and argument.startswith("-") and " " not in argument


def _is_known(argument: str) -> bool:
    """Whether argparse will find a flag in it; ``-w4`` is ``-w 4``."""
    if argument.startswith("--"):
        argument = argument.partition("=")[0]
    else:
        argument = argument[:2]
    return argument in FLAGS or argument in OWN_FLAGS


def _next(remaining: Iterator[str]) -> Iterator[str]:
    """The value behind a flag, which is no flag whatever it looks like to argparse."""
    for value in remaining:
        yield value
        return


def _judge_foreign(argument: str, remaining: Iterator[str], suffix: str) -> str | None:
    """Let a flag of another server pass if it asks for what happens anyway, else refuse it."""
    # A third of a megabyte, which no process keeps whose flags are all ours.
    from greenuni.config.unsupported import BY_FLAG

    spelling, equals, value = argument.partition("=")
    entry = BY_FLAG.get(spelling)
    if entry is None:
        raise ConfigError(_unknown_flag(spelling, suffix))
    meaning: object = True
    if entry.takes_value:
        meaning = value if equals else next(remaining, "")
    return entry.judge(f"{spelling}{suffix}", meaning)


def _unknown_flag(spelling: str, suffix: str) -> str:
    guess = nearest(spelling, [*FLAGS, *OWN_FLAGS])
    hint = f"did you mean {guess}?" if guess else "greenuni --help shows all"
    return f"{spelling}{suffix} is not an option of Greenuni: {hint}"


class _Record(argparse.Action):
    """Keeps what was given and how it was spelled, in the order of the command line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.given.append((option_string, values))


class _Version(argparse.Action):
    """Prints one line; argparse's own would break it to fit the terminal."""

    def __call__(self, *_: object) -> None:
        print(build.summary())
        sys.exit()


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are `ConfigError`."""

    suffix = ""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message.removeprefix("argument ") + self.suffix)


def _parser(suffix: str = "") -> _Parser:
    parser = _Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Serve a WSGI or an ASGI application with pre-forked worker processes.",
        epilog="Everything is described in docs/settings.md. Signals: TERM stops gracefully, HUP reloads, "
        "TTIN and TTOU add and remove a worker.",
        formatter_class=_formatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.suffix = suffix
    for title, settings in settings_by_section():
        group = parser.add_argument_group(title)
        for setting in settings:
            _add_setting(group, setting)
        if title == "Command":
            group.add_argument("-h", "--help", action="help", help="show this help, then end")
            group.add_argument(
                "-v",
                "--version",
                action=_Version,
                nargs=0,
                help="show the version, then end",
            )
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=HELP_COLUMN)


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    """All spellings of one setting; the help shows one line of them."""
    if setting.name == "wsgi_app":
        group.add_argument(
            "wsgi_app",
            nargs="?",
            metavar="module:attribute",
            default=argparse.SUPPRESS,
            action=_Record,
            help=_help_of(setting),
        )
    shown = setting.off_flags if setting.default is True else setting.flags
    for spellings in (setting.flags, setting.off_flags, *((a.flag,) for a in setting.aliases)):
        if spellings:
            group.add_argument(
                *spellings,
                dest=setting.name,
                action=_Record,
                nargs=0 if FLAGS[spellings[0]].constant else None,
                metavar=setting.kind.metavar,
                help=_help_of(setting) if spellings == shown else argparse.SUPPRESS,
            )


def _help_of(setting: Setting) -> str:
    """The help sentence, the default with its unit, the variable."""
    facts = [f"${setting.environment}"] if setting.environment else []
    if setting.default not in (None, (), ""):
        facts.insert(0, f"default: {setting.display(setting.default)}")
    text = (
        f"{setting.help} ({', '.join(facts)})" if facts and not setting.is_switch else setting.help
    )
    if setting.default is True:
        text = f"do not {text}"
    return text.replace("%", "%%")
