"""The command line, derived from the settings; also what ``GREENUNI_CMD_ARGS`` is read with.

A flag that nobody knows is refused with the nearest known one, and one of another server with what to use
instead. argparse makes the help (`usage`). It is not needed to read flags that stand in a table already, and
would stay in the memory of the arbiter and its workers.
"""

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

from greenuni import build
from greenuni.config.declare import Setting
from greenuni.config.kinds import nearest
from greenuni.config.settings import SETTINGS
from greenuni.config.sources import Given, Layer, Origin, Rank
from greenuni.config.usage import HELP, VERSION, render_help
from greenuni.errors import ConfigError

OWN_FLAGS = (*HELP, *VERSION)
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
    for spelling, value in _spoken(arguments, layer, suffix):
        flag = FLAGS[spelling] if spelling else Flag(SETTINGS["wsgi_app"])
        if not spelling and flag.setting.name in layer.values:
            raise ConfigError(
                f"{value!r}{suffix} is one argument too many: one application is served; --mount serves "
                "several"
            )
        layer.give(Given(flag.setting, flag.raw(value), Origin(rank, place, spelling or APP_NAME)))
    return layer


def _spoken(
    arguments: Sequence[str], layer: Layer, suffix: str
) -> Iterator[tuple[str, str | None]]:
    """Each flag as it is spelled, with its value; before an argument without a flag "".

    Raises `ConfigError` at the first that cannot be.
    """
    waiting = deque(arguments)
    while waiting:
        argument = waiting.popleft()
        if argument == "--":
            yield from (("", argument) for argument in waiting)
            return
        spelling, value = _taken_apart(argument)
        if spelling in OWN_FLAGS:
            _tell_and_end(spelling)
        elif spelling in FLAGS:
            yield spelling, _value_of(spelling, value, waiting, suffix)
        elif not _looks_like_flag(argument):
            yield "", argument
        else:
            layer.note(_judge_foreign(argument, waiting, suffix))


def _taken_apart(argument: str) -> tuple[str, str | None]:
    """A flag, and the value that is written with it: ``--workers=4``, ``-w4``."""
    if argument.startswith("--"):
        spelling, equals, value = argument.partition("=")
        return spelling, value if equals else None
    return argument[:2], argument[2:].removeprefix("=") or None


def _value_of(spelling: str, attached: str | None, waiting: deque[str], suffix: str) -> str | None:
    """The value of a flag that we know, which stands behind it unless it is ``attached``."""
    if FLAGS[spelling].constant:
        if attached is not None:
            raise ConfigError(f"{spelling}{suffix} takes no value: leave out {attached!r}")
        return None
    if attached is not None:
        return attached
    if not waiting or _looks_like_flag(waiting[0]):
        raise ConfigError(f"{spelling}{suffix} needs a value")
    return waiting.popleft()


def _looks_like_flag(argument: str) -> bool:
    """Whether it is none of our values: what is unknown may have a space, or be a number below zero."""
    if _taken_apart(argument)[0] in FLAGS:
        return True
    has_dash = len(argument) > 1 and argument.startswith("-")
    return has_dash and " " not in argument and argument[1] not in ".0123456789"


def _tell_and_end(spelling: str) -> NoReturn:
    if spelling in VERSION:
        print(build.summary())
    else:
        print(render_help(), end="")
    sys.exit()


def _judge_foreign(argument: str, waiting: deque[str], suffix: str) -> str | None:
    """Let a flag of another server pass if it asks for what happens anyway, else refuse it."""
    # A third of a megabyte, which no process keeps whose flags are all ours.
    from greenuni.config.unsupported import BY_FLAG

    spelling, equals, value = argument.partition("=")
    entry = BY_FLAG.get(spelling)
    if entry is None:
        raise ConfigError(_unknown_flag(spelling, suffix))
    meaning: object = True
    if entry.takes_value:
        meaning = value if equals else waiting.popleft() if waiting else ""
    return entry.judge(f"{spelling}{suffix}", meaning)


def _unknown_flag(spelling: str, suffix: str) -> str:
    guess = nearest(spelling, [*FLAGS, *OWN_FLAGS])
    hint = f"did you mean {guess}?" if guess else "greenuni --help shows all"
    return f"{spelling}{suffix} is not an option of Greenuni: {hint}"
