"""The settings reference: ``python -m greenuni.config.reference > docs/settings.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenuni.config.declare import Alias, Applies, Scope, Setting
from greenuni.config.settings import SETTINGS, settings_by_section
from greenuni.config.unsupported import UNSUPPORTED, Unsupported

INTRODUCTION = """\
# Settings

<!-- Rendered from the settings table by `make docs`; a change here is lost. -->

A setting is given on the command line, in the environment or in a configuration file. A higher source wins:

1. the command line
2. `GREENUNI_CMD_ARGS`, which holds command line arguments, split as a shell would
3. the variables of single settings: `WEB_CONCURRENCY`, `PORT`, `FORWARDED_ALLOW_IPS`
4. the configuration file
5. the default

`greenuni --print-config` shows every value and its source, `greenuni --check-config module:app` also loads
the application. A setting that is unknown, malformed or means nothing to the application that was found ends
the server at start with exit status 2 and a sentence that says what to write instead. HUP reads everything
again.

## The configuration file

`-c FILE` names it: a file that ends in `.toml` is TOML, any other is Python; `python:module` is imported and
`file:` may stand in front of a path, as in gunicorn. Without `-c`, one file of the current directory is read:

- `greenuni.conf.py`, `greenuni.toml` or the table `[tool.greenuni]` of `pyproject.toml`; two of them are an
  error;
- else `gunicorn.conf.py`. Beside one of the files above it is passed over, with a line that says so.

In Python the names below are module variables. Imports, functions and helper variables are allowed; a plain
variable whose name closely resembles a setting that is not set is taken for a slip and refused. `host` and
`port` are helpers, too, when `bind` is set. In TOML the keys are the names below or those of the flags, with
`-` or `_`:

```toml
[tool.greenuni]
workers = 4
keep-alive = 75
```

Times are seconds, sizes bytes. A switch is turned off by `--no-` in front of its name.

## Any application on any worker

A WSGI application runs on sync or gthread workers, an ASGI application on asgi workers, unless `worker_class`
says otherwise: then it runs there through an adapter ([bridge.md](bridge.md)), and the line that begins with
"Serving" says so. That is for the WSGI application that shall share an event loop with others, or for the
ASGI application whose requests are few and short: on one sync worker it answers one request at a time, so a
stream keeps all others waiting; with `threads = 8` it answers eight.

Several applications, of either interface, are served by the same workers if they are mounted:

    greenuni --mount /api=main:app --mount /=mysite.wsgi:application

```toml
[mounts]                    # or a list: mounts = ["/api=main:app"]
"/api" = "main:app"
"/" = "mysite.wsgi:application"
"admin.example.com/" = "mysite.admin:application"
```

The workers are asgi workers if one of the applications is ASGI. An application finds its mount in
`SCRIPT_NAME` or `root_path`, below that of `--root-path`. What is mounted nowhere is a 404. The lifespan of
each ASGI application runs, in the order given, and one that fails stops the boot. `interface` and `factory`
are said of all of them. Several applications that should not share their workers are pools.

## Pools

One server can run several applications side by side, each in worker processes of its own that suit it. A
configuration file names them; the command line then names no application.

```toml
bind = ["0.0.0.0:8000"]
keepalive = 60              # said of all pools

[pools.site]
app = "mysite.wsgi:application"
workers = 4
threads = 2

[pools.api]
app = "api.main:app"
mount = "/api"
workers = 2
timeout = 120               # said of this pool, and closer to it than any other source

[pools.admin]
app = "mysite.admin:application"
bind = ["127.0.0.1:9000"]   # not on the shared port, as it has no mount
```

In Python it is `pools = {"site": {"app": "mysite.wsgi:application", "workers": 4}}`. In a pool, `app` is
another word for `wsgi_app`. What is said above the pools, on the command line and in the environment holds
for each pool that says nothing else, and that it means something to: `threads = 8` above an ASGI pool is for
the others.

- A pool without `bind` listens on the server's. A pool with one listens there alone, and what arrives there
  is for it whatever the path; with a `mount` besides it listens on both, and whose a request is depends on
  its path alone.
- A pool may have `mounts` instead of `app`; they are below its own mount.
- A `worker_class` above the pools chooses for no pool that would then need an adapter.
- A mount is `/path`, `host/` or `host/path`. The longest path wins, on the boundary of a segment; the
  request's host comes before any host. No two pools have the same mount.
- Settings marked "for the whole server" cannot stand in a pool. What limits a request head is among them:
  until it is read, nobody knows which pool it is for.
- Each pool with `preload_app` has a process of its own in which its application is loaded, and from which its
  workers are forked; pools share nothing by that. Where the system is not Linux they are loaded into one
  interpreter, one after the other: a pool sees only the modules of its own project, but installed packages
  are common to all, with what they keep, so beside a preloaded Django project there can be no second one.
- A worker finds the name of its pool in `GREENUNI_POOL`, and its number in it in `GREENUNI_WORKER_ID`. Its
  lines in the error log begin with the name. The logs are common to all: where pools run as different users,
  log to standard error, or rotate by copying, because a worker can reopen only a file that its user may
  write.
- HUP starts pools that are new, replaces the workers of the others and ends those that are gone when nobody
  sends them requests any more. What fails in one pool, be it its new code or all its workers, is that pool's
  alone; only at the start of the server every pool has to come up.
"""

SCOPES = {Scope.SERVER: "for the whole server", Scope.POOL: "in a pool only"}

OTHER_DIFFERENCES = (
    (
        "`WEB_CONCURRENCY`, `PORT`",
        "a default, which the configuration file beats",
        "beat the configuration file",
        "the environment is closer to the deployment than a file",
    ),
    (
        "`workers`",
        "0 is allowed",
        'at least 1, or `"auto"`',
        "a server without workers answers nothing",
    ),
    (
        "`forwarded_allow_ips`",
        "whoever connects to a Unix socket is believed",
        "only if the list holds `unix`",
        "every local process may be able to connect",
    ),
    (
        "unknown names",
        "ignored in files",
        "refused, also when only close to a setting's name",
        "a misspelled limit is no limit",
    ),
    (
        "exit status",
        "1 for configuration errors",
        "2 for configuration errors, 3 when the application cannot be loaded",
        "a supervisor can tell them apart",
    ),
    (
        "`print_config`, `check_config`",
        "may stand in a file",
        "command line only",
        "a server that never serves is no configuration",
    ),
)


def render() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION]
    for title, settings in settings_by_section():
        parts += [f"## {title}\n", *map(_entry, settings)]
    parts += ["\n".join(_differences()), "\n".join(_aliases()), "\n".join(_unsupported())]
    return "\n".join(parts)


def _entry(setting: Setting) -> str:
    """One setting: its sentence, then its facts, each on a line."""
    facts = [("type", setting.kind.type_name), ("default", _code(setting.display(setting.default)))]
    spellings = (*setting.flags, *(setting.off_flags if setting.default is True else ()))
    if spellings:
        metavar = f" {setting.kind.metavar}" if setting.kind.metavar else ""
        facts.append(("flags", ", ".join(_code(flag + metavar) for flag in spellings)))
    if setting.environment:
        facts.append(("environment", _code(setting.environment)))
    if setting.aliases:
        facts.append(("also", ", ".join(f"{_code(a.flag)} ({a.server})" for a in setting.aliases)))
    if setting.applies is not Applies.BOTH:
        facts.append(("applies to", setting.applies.value))
    if setting.scope is not Scope.ANYWHERE:
        facts.append(("pools", SCOPES[setting.scope]))
    facts.append(("since", setting.since))
    lines = "\n".join(f"- {name}: {value}" for name, value in facts)
    return f"### `{setting.name}`\n\n{_sentence(setting.help)}\n\n{lines}\n"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _code(text: str) -> str:
    return f"`{text}`"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _table(*heads: str) -> Iterator[str]:
    yield _row(*heads)
    yield "|" + "---|" * len(heads)


def _differences() -> Iterator[str]:
    """Where we are not gunicorn."""
    yield "## Differences from gunicorn\n"
    yield from _table("setting", "gunicorn", "Greenuni", "why")
    for setting in SETTINGS.values():
        if setting.differs:
            ours = setting.display(setting.default)
            yield _row(_code(setting.name), setting.differs.gunicorn, ours, setting.differs.why)
    for row in OTHER_DIFFERENCES:
        yield _row(*row)
    yield ""


def _aliases() -> Iterator[str]:
    """Names of other servers that are understood."""
    yield "## Names of other servers that are understood\n"
    yield from _table("name", "server", "means")
    for setting in SETTINGS.values():
        for alias in setting.aliases:
            yield _row(_code(alias.flag), alias.server, _code(_meaning(setting, alias)))
    for word, ours in _worker_classes():
        yield _row(
            _code(f"--worker-class {word}"), word.partition(".")[0], _code(f"--worker-class {ours}")
        )
    yield ""


def _worker_classes() -> Iterable[tuple[str, str]]:
    return getattr(SETTINGS["worker_class"].kind, "synonyms", {}).items()


def _meaning(setting: Setting, alias: Alias) -> str:
    if alias.constant:
        value = alias.constant[0]
        return f"no {setting.name}" if value is None else f"{setting.flag} {value}"
    value = setting.kind.metavar if alias.is_rename else "..."
    return f"{setting.flag} {alias.template.format(value)}"


def _unsupported() -> Iterator[str]:
    """Names of other servers that are refused, and what to use instead."""
    yield "## Names of other servers that are refused\n"
    yield "They are let pass where they ask for nothing, or for what Greenuni does anyway.\n"
    yield from _table("name", "server", "instead")
    for entry in UNSUPPORTED:
        yield _row(_unsupported_names(entry), entry.server, _sentence(entry.instead))


def _unsupported_names(entry: Unsupported) -> str:
    names = entry.names if "gunicorn" in entry.server else entry.all_flags
    return ", ".join(map(_code, names))


if __name__ == "__main__":
    print(render())
