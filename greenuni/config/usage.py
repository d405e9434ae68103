"""``--help``, derived from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenuni.config.declare import Setting
from greenuni.config.settings import settings_by_section

if TYPE_CHECKING:
    import argparse

USAGE = "greenuni [options] module:attribute"
HELP = ("-h", "--help")
VERSION = ("-v", "--version")
PROGRAM = "greenuni"
COLUMN = 30  # in which the sentences begin


def render_help() -> str:
    """The whole text of ``--help``."""
    import argparse  # with what it makes half a megabyte, which no server keeps

    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=USAGE,
        description="Serve a WSGI or an ASGI application with pre-forked worker processes.",
        epilog="Everything is described in docs/settings.md. Signals: TERM stops gracefully, HUP reloads, "
        "TTIN and TTOU add and remove a worker.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=COLUMN),
        add_help=False,
    )
    for title, settings in settings_by_section():
        group = parser.add_argument_group(title)
        for setting in settings:
            _add_setting(group, setting)
        if title == "Command":
            group.add_argument(*HELP, action="store_true", help="show this help, then end")
            group.add_argument(*VERSION, action="store_true", help="show the version, then end")
    return parser.format_help()


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    """The line of one setting."""
    if setting.name == "wsgi_app":
        group.add_argument(
            "wsgi_app",
            nargs="?",
            metavar="module:attribute",
            help=_help_of(setting),
        )
    shown = setting.off_flags if setting.default is True else setting.flags
    if setting.is_switch:
        group.add_argument(*shown, action="store_true", help=_help_of(setting))
    elif shown:
        group.add_argument(*shown, metavar=setting.kind.metavar, help=_help_of(setting))


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
