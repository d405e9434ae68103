"""Users and groups by name or number."""

from __future__ import annotations

import grp
import pwd

from greenuni.errors import ConfigError

UNCHANGED = -1  # what chown(2) takes for "leave it"


def user_id(user: str | None) -> int:
    """The numeric id, `UNCHANGED` for None. Raises ``ConfigError`` for an unknown name."""
    if user is None:
        return UNCHANGED
    try:
        return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(f"there is no user {user!r} on this machine") from None


def group_id(group: str | None) -> int:
    """The numeric id, `UNCHANGED` for None. Raises ``ConfigError`` for an unknown name."""
    if group is None:
        return UNCHANGED
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"there is no group {group!r} on this machine") from None
