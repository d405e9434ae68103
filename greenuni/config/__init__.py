"""Every setting, declared once, and the sources that are merged into one frozen `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenuni.config.address import Address, FdAddress, TcpAddress, UnixAddress, parse_address

__all__ = [
    "Address",
    "Config",
    "FdAddress",
    "TcpAddress",
    "UnixAddress",
    "check_applicable",
    "parse_address",
]

DEFAULT_ACCESS_LOG_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'


@dataclass(frozen=True)
class Config:
    """The settings of one server. Times are seconds and sizes bytes; 0 is "off" for every timeout."""

    wsgi_app: str | None = None
    config: str | None = None
    bind: tuple[str, ...] = ("127.0.0.1:8000",)
    host: str | None = None
    port: int | None = None
    backlog: int = 2048
    reuse_port: bool = False
    workers: int = 1
    worker_class: str = "auto"
    interface: str = "auto"
    threads: int = 1
    worker_connections: int = 1000
    max_requests: int = 0
    max_requests_jitter: int = 0
    timeout: float = 30.0
    graceful_timeout: float = 30.0
    keepalive: float = 75.0
    header_timeout: float = 20.0
    body_timeout: float = 30.0
    body_min_rate: int = 500
    send_timeout: float = 60.0
    limit_request_line: int = 4094
    limit_request_fields: int = 100
    limit_request_field_size: int = 8190
    limit_request_body: int = 2147483648
    spool_memory: int = 524288
    spool_limit: int = 1073741824
    tmp_upload_dir: str | None = None
    sendfile: bool = True
    preload_app: bool = False
    chdir: str | None = None
    pythonpath: str | None = None
    raw_env: tuple[str, ...] = ()
    pidfile: str | None = None
    proc_name: str | None = None
    umask: int = 0
    user: str | None = None
    group: str | None = None
    root_path: str = ""
    forwarded_allow_ips: str = "127.0.0.1,::1"
    accesslog: str | None = None
    access_log_format: str = DEFAULT_ACCESS_LOG_FORMAT
    errorlog: str = "-"
    loglevel: str = "info"
    logconfig: str | None = None
    logconfig_json: str | None = None
    logconfig_dict: dict[str, Any] = field(default_factory=dict)
    capture_output: bool = False
    loop: str = "auto"
    async_backend: str = "asyncio"
    lifespan: str = "auto"
    factory: bool = False
    app_dir: str | None = None
    reload: bool = False
    print_config: bool = False
    check_config: bool = False

    # Not settings: what the merge of the sources says about itself.
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[str, ...] = field(
        default=(), compare=False, repr=False
    )  # one line each, to show once
    workers_arithmetic: str = field(default="", compare=False, repr=False)  # how "auto" was counted

    @property
    def addresses(self) -> tuple[Address, ...]:
        """``bind``, parsed."""
        return tuple(parse_address(text) for text in self.bind)


def check_applicable(config: Config, interface: str) -> None:
    """Raise `ConfigError` when a setting that was given cannot apply to ``interface``.

    ``interface`` is that of the loaded application: "wsgi", "asgi" or "asgi2". Settings that
    stand at their default never raise.
    """
