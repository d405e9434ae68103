"""What the server says of itself: the error log and the access log."""

from greenuni.observe.access import AccessLog, Exchange
from greenuni.observe.logs import Logs

__all__ = ["AccessLog", "Exchange", "Logs"]
