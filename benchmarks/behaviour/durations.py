"""How long the handlers of the application take; for itself and for whoever asks it."""

HANDLER_SECONDS = 12.0  # that nobody waits for
PLAIN_SECONDS = 5.0
