"""What a worker serves: the application that the configuration names, or those that it mounts."""

from __future__ import annotations

from greenuni.config import Config
from greenuni.errors import BootError, GreenuniError, NoApplicationError
from greenuni.loader import load, prepare_imports
from greenuni.routing import Mounted
from greenuni.shell import Application, Interface
from greenuni.worker.identity import set_environment


def enter_application(config: Config) -> None:
    """Take the environment, directory and import path that it expects. Raises ``BootError``."""
    set_environment(config)
    prepare_imports(config.chdir, config.app_dir, config.pythonpath)


def load_application(config: Config) -> Application:
    """Import what ``config`` names. Raises ``BootError``, and ``ConfigError`` for a setting at fault."""
    enter_application(config)
    if config.mounts:
        return _load_mounted(config)
    if config.wsgi_app is None:
        raise BootError("no application is named: write greenuni module:attribute")
    return _load(config, "wsgi_app", config.wsgi_app)


def _load(config: Config, name: str, target: str) -> Application:
    """The one at ``target``, which the setting ``name`` gives."""
    try:
        return load(target, interface=config.interface, factory=config.factory)
    except NoApplicationError as error:
        error.args = (f"{config.subject_of(name)}: {error}",)
        raise


def _load_mounted(config: Config) -> Application:
    """Each of them, in the order given."""
    mounted = tuple((part.mount, _load_part(config, part)) for part in config.mounted)
    is_wsgi = all(app.interface is Interface.WSGI for _, app in mounted)
    return Application(
        callable=None,
        interface=Interface.WSGI if is_wsgi else Interface.ASGI3,
        target=", ".join(config.mounts),
        description=f"{len(mounted)} applications",
        mounted=mounted,
    )


def _load_part(config: Config, part: Mounted) -> Application:
    """What goes wrong names the mount."""
    try:
        return _load(config, "mounts", part.target)
    except GreenuniError as error:
        error.args = (f"mount {part.mount}: {error}",)
        raise
