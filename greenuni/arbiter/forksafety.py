"""What a preloaded application has that its workers cannot have after a fork."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator

# What a process holds open that has talked to a graphics processor: of NVIDIA, of AMD.
_ACCELERATORS = ("/dev/nvidia", "/dev/kfd")


def warn_of_fork(log: logging.Logger) -> None:
    """Name what will be missing or broken in the workers."""
    names = [
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
    ]
    if names:
        log.warning(
            "The preloaded application has started threads, which workers will not have: %s",
            ", ".join(sorted(names)),
        )
    others = _native_threads()
    if others:
        log.info(
            "%d threads of C libraries run beside the preloaded application; a library must start them "
            "again in each worker, as OpenBLAS does",
            others,
        )
    for what in _accelerators_in_use():
        log.warning(
            "The preloaded application has initialised %s, which cannot be used after a fork: "
            "load onto the GPU in the lifespan startup, or do without --preload",
            what,
        )


def _native_threads() -> int:
    """Threads that Python knows nothing of; 0 where they cannot be counted."""
    try:
        return max(0, len(os.listdir("/proc/self/task")) - threading.active_count())
    except OSError:
        return 0


def _accelerators_in_use() -> Iterator[str]:
    cuda = sys.modules.get("torch.cuda")
    if cuda is not None and cuda.is_initialized():
        yield "CUDA (torch.cuda)"
        return
    devices = {path for path in _open_files() if path.startswith(_ACCELERATORS)}
    if devices:
        yield f"a GPU ({', '.join(sorted(devices))})"


def _open_files() -> Iterator[str]:
    try:
        descriptors = os.listdir("/proc/self/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:  # the one that listed the directory
            continue
