"""From the sources to one `Config`: the higher source wins, then dependent values are worked out.

The sources, lowest first: defaults, the configuration file, single environment variables,
``GREENUNI_CMD_ARGS``, the command line.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greenuni.config.address import ANY_HOST, DEFAULT_PORT, LOCAL_HOST, TcpAddress
from greenuni.config.checks import check_config
from greenuni.config.commandline import parse_arguments
from greenuni.config.environment import read_arguments, read_variables
from greenuni.config.pool_checks import check_pools
from greenuni.config.processors import usable_processors
from greenuni.config.settings import SETTINGS, Config
from greenuni.config.sources import (
    GUNICORN_FILE,
    OWN_FILES,
    PROJECT_FILE,
    Given,
    Layer,
    Origin,
    Rank,
)
from greenuni.errors import ConfigError
from greenuni.routing import ROOT

COMMAND_LINE = "command line"


def read_config(arguments: Sequence[str], environ: Mapping[str, str], directory: str) -> Config:
    """The configuration that the sources make now.

    ``arguments`` are those of the command line without the program, ``directory`` is where the
    server was started: relative paths of the command line and default files are looked up there,
    whatever the current directory has become. Raises `ConfigError`.
    """
    command_line = parse_arguments(arguments, Rank.COMMAND_LINE, COMMAND_LINE)
    in_environment = read_arguments(environ)
    located = command_line.values.get("config") or in_environment.values.get("config")
    file = _read_file(located.parse() if located else None, directory)
    layers = [file, read_variables(environ), in_environment, command_line]
    config = _settled(Draft(layers), directory, file.file).finish()
    pools = [
        _pool_config(name, [*layers, layer], config, directory, file.file)
        for name, layer in file.pools.items()
    ]
    notes = [note for layer in file.pools.values() for note in layer.notes]
    config = config.replace(pools=tuple(pools), notes=(*config.notes, *notes))
    for whole in (config, *pools):
        check_config(whole, directory)
    check_pools(config)
    return config


def _settled(draft: Draft, start: str, file: str | None) -> Draft:
    """Every question that one value asks of another is answered."""
    draft.fold_address()
    draft.count_workers()
    draft.choose_worker_class()
    draft.sort_log_configuration()
    draft.locate(start, file)
    return draft


def _pool_config(
    name: str, layers: Sequence[Layer], server: Config, start: str, file: str | None
) -> Config:
    """What holds for one pool: the last of ``layers`` is its own."""
    draft = Draft(layers)
    draft.find_place(server)
    own = frozenset(layers[-1].values)
    config = _settled(draft, start, file).finish()
    return config.replace(pool=name, given_in_pool=own, notes=())


def asks_for(name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether a switch that no file may set is on, such as ``print_config``. Raises `ConfigError`."""
    command_line = parse_arguments(arguments, Rank.COMMAND_LINE, COMMAND_LINE)
    given = command_line.values.get(name) or read_arguments(environ).values.get(name)
    return given is not None and given.parse() is True


def _read_file(location: str | None, directory: str) -> Layer:
    """See `files.read_file`, which is imported where there is something to read.

    It takes the tables of other servers' settings along: half a megabyte in the arbiter and its workers.
    """
    names = (*OWN_FILES, GUNICORN_FILE, PROJECT_FILE)
    is_there = any(os.path.isfile(os.path.join(directory, name)) for name in names)
    if location is None and not is_there:
        return Layer()
    from greenuni.config.files import read_file

    return read_file(location, directory)


class Draft:
    """The merged values on their way to a `Config`. Every method settles one question."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._notes: list[str] = []
        self._given: dict[str, Given] = {}
        self._values: dict[str, Any] = {}
        self._arithmetic = ""
        for layer in layers:
            self._notes += layer.notes
            for given in layer:
                self._given[given.setting.name] = given
                self._values[given.setting.name] = given.parse()

    def __repr__(self) -> str:
        return f"<Draft {self._values!r}>"

    def _value(self, name: str) -> Any:
        return self._values.get(name, SETTINGS[name].default)

    def _rank(self, name: str) -> int:
        return self._given[name].origin.rank if name in self._given else 0

    def fold_address(self) -> None:
        """Turn ``host`` and ``port`` into ``bind``, unless ``bind`` comes from a higher source."""
        bind, host, port = (self._rank(name) for name in ("bind", "host", "port"))
        if max(host, port) == 0 or bind > max(host, port):
            return
        decisive = self._given["host" if host > port else "port"].origin
        if bind == max(host, port):
            bind_origin = self._given["bind"].origin
            raise ConfigError(
                f"{decisive.subject()} and {bind_origin.subject()} both say where to listen: keep one"
            )
        default_host = ANY_HOST if port == Rank.ENVIRONMENT else LOCAL_HOST
        address = TcpAddress(
            self._value("host") if host > bind else default_host,
            self._value("port") if port > bind else DEFAULT_PORT,
        )
        self._derive("bind", (str(address),), decisive)

    def _derive(self, name: str, value: Any, origin: Origin) -> None:
        """Give ``name`` a value that follows from one that was given."""
        self._values[name] = value
        self._given[name] = Given(SETTINGS[name], value, origin)

    def count_workers(self) -> None:
        """Replace ``auto`` by a number."""
        if self._value("workers") == "auto":
            processors = usable_processors()
            self._values["workers"] = processors.workers
            self._arithmetic = processors.arithmetic()

    def choose_worker_class(self) -> None:
        """A sync worker with several threads is a gthread one, as in gunicorn."""
        if self._value("worker_class") == "sync" and self._value("threads") > 1:
            self._values["worker_class"] = "gthread"

    def sort_log_configuration(self) -> None:
        """``--log-config`` with a JSON file is uvicorn's spelling of ``--log-config-json``."""
        path = self._value("logconfig")
        if path is not None and path.endswith(".json"):
            given = self._given.pop("logconfig")
            del self._values["logconfig"]
            self._derive("logconfig_json", path, given.origin)

    def find_place(self, server: Config) -> None:
        """Where a pool listens: on the shared port below its mount, on addresses of its own, or on both.

        One with addresses of its own is on the shared port only if it has a mount.
        """
        shared = self._rank("bind") != Rank.POOL
        if shared:
            self._values.setdefault("mount", str(ROOT))
        elif "mount" in self._values:
            self._values["bind"] = (*server.bind, *self._values["bind"])
        if self._rank("chdir") == Rank.POOL and server.chdir is not None:
            self._values["chdir"] = os.path.join(server.chdir, self._values["chdir"])

    def locate(self, start: str, file: str | None) -> None:
        """Make ``chdir`` and the file that was read absolute: they outlive the current directory."""
        if self._value("chdir") is not None:
            self._values["chdir"] = os.path.realpath(os.path.join(start, self._value("chdir")))
        if file is not None:
            found = Origin(Rank.FILE, "current directory", os.path.basename(file))
            given = self._given.get("config")
            self._derive("config", file, given.origin if given else found)

    def finish(self) -> Config:
        """The frozen result."""
        return Config(
            **self._values,
            sources={name: given.origin.describe() for name, given in self._given.items()},
            written={
                name: given.raw for name, given in self._given.items() if isinstance(given.raw, str)
            },
            notes=tuple(self._notes),
            workers_arithmetic=self._arithmetic,
        )
