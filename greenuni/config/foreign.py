"""The settings of other servers that one file holds, judged together: a user should meet them all at once."""

from __future__ import annotations

from greenuni.config.sources import Layer, Origin
from greenuni.config.unsupported import Unsupported
from greenuni.errors import ConfigError


class Foreign:
    """Collects what a file asks for and Greenuni does not have."""

    def __init__(self, place: str, layer: Layer) -> None:
        self._place = place
        self._layer = layer
        self._refusals: list[ConfigError] = []
        self._refused: dict[tuple[str, str], list[str]] = {}  # names, by server and what to use

    def judge(self, entry: Unsupported, origin: Origin, value: object) -> None:
        """Let a value pass, perhaps with a note, or keep its refusal for `finish`."""
        try:
            self._layer.note(entry.judge(origin.subject(), value))
        except ConfigError as refusal:
            self._refusals.append(refusal)
            self._refused.setdefault((entry.server, entry.instead), []).append(origin.name)

    def finish(self) -> None:
        """Raise one `ConfigError` for everything that was refused, each answer on a line of its own."""
        if len(self._refusals) == 1:
            raise self._refusals[0]
        if self._refusals:
            answers = "".join(
                f"\n  {', '.join(names)} ({server}): {instead}"
                for (server, instead), names in self._refused.items()
            )
            count = len(self._refusals)
            raise ConfigError(f"{count} settings in {self._place} are not supported:{answers}")

    def __repr__(self) -> str:
        return f"<Foreign settings in {self._place}, {len(self._refusals)} refused>"
