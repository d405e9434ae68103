"""Settings of other servers that Greenuni does not have, and what to use instead.

A name from this table is refused with its sentence instead of "unknown". It is accepted, without any
effect, where it asks for nothing (``daemon = False``) or for what happens anyway (``--proxy-headers``);
a ``needless`` one is accepted with a note, and so is a value that leaves the choice to the server.
Plain renames are aliases of our settings, in their declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenuni.errors import ConfigError


@dataclass(frozen=True)
class Unsupported:
    """A few settings of other servers that share one answer."""

    server: str
    names: tuple[str, ...]  # as keys; the flag is "--" and the name with dashes
    instead: str  # a clause that says what to use
    flags: tuple[str, ...] = ()  # flags that are not spelled like their key
    satisfied: tuple[object, ...] = ()  # values that ask for what Greenuni does anyway
    takes_value: bool = True  # on the command line
    is_hook: bool = False
    needless: bool = False
    noted: tuple[
        object, ...
    ] = ()  # values that are let pass with a note: they leave it to the server

    @property
    def all_flags(self) -> tuple[str, ...]:
        """Every flag of the entry; hooks have none."""
        if self.is_hook:
            return ()
        return tuple(f"--{name.replace('_', '-')}" for name in self.names) + self.flags

    def is_met_by(self, value: object) -> bool:
        """Whether ``value`` asks for nothing, or for what happens anyway."""
        return not value or value in self.satisfied

    def judge(self, subject: str, value: object) -> str | None:
        """A note on a value that is let pass, if it needs one. Raises `ConfigError` for others."""
        if self.needless:
            return f"{subject} has no use here: {self.instead}"
        if value in self.noted:
            return f"{subject}: {value} has no effect: {self.instead}"
        if self.is_met_by(value):
            return None
        raise ConfigError(f"{subject} ({self.server}) is not supported: {self.instead}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_TLS = "let a proxy such as nginx, Caddy or HAProxy terminate TLS"
_HTTP2 = "clients speak HTTP/1.1 here; let a proxy speak HTTP/2 to them"
_WEBSOCKET = (
    "ASGI applications are served WebSocket; one that closes before it accepts refuses it with 403"
)
_METRICS = (
    "count what you need from the access log; access_log_format = json is easy to read by program"
)
_SYSLOG = (
    "log to standard output and let systemd or the container pass it on, or configure a SysLogHandler "
    "with logconfig_dict"
)
_STRICT = "messages that HTTP does not allow are always refused"
_RELOAD = "--reload watches every file that the application has imported"
_PROXY_PROTOCOL = "let the proxy speak HTTP and send X-Forwarded-For"
_HOOK = (
    "there are no server hooks yet; do the work where the application is imported, which happens in each "
    "worker (with --preload only once, before they are forked), or in its ASGI lifespan, run by each worker"
)
_DIRTY = "there are no dirty workers; run a second server for such work"

GUNICORN = (
    Unsupported(
        "gunicorn",
        _names("keyfile certfile ca_certs ciphers cert_reqs do_handshake_on_connect"),
        _TLS,
    ),
    Unsupported("gunicorn", ("suppress_ragged_eofs",), _TLS, satisfied=(True,)),
    Unsupported("gunicorn", ("ssl_version",), _TLS, satisfied=(2,)),
    Unsupported("gunicorn", ("ssl_context",), _TLS, is_hook=True),
    Unsupported("gunicorn", ("http_protocols",), _HTTP2, satisfied=("h1",)),
    Unsupported("gunicorn", ("http2_cleartext",), _HTTP2, satisfied=("off",)),
    Unsupported("gunicorn", _names("http2_initial_window_size http2_max_header_list_size"), _HTTP2),
    Unsupported(
        "gunicorn, granian", _names("http2_max_concurrent_streams http2_max_frame_size"), _HTTP2
    ),
    Unsupported(
        "gunicorn",
        ("asgi_disconnect_grace_period",),
        "an ASGI application is told at once that its client has gone",
    ),
    Unsupported(
        "gunicorn",
        ("http_parser",),
        "there is one HTTP parser, leave it out",
        satisfied=("auto", "python"),
    ),
    Unsupported(
        "gunicorn",
        ("reload_engine",),
        _RELOAD,
        satisfied=("auto",),
    ),
    Unsupported("gunicorn", ("reload_extra_files",), _RELOAD, flags=("--reload-extra-file",)),
    Unsupported(
        "gunicorn",
        ("spew",),
        "use a debugger, or python -X importtime and -m trace",
        takes_value=False,
    ),
    Unsupported(
        "gunicorn",
        ("daemon",),
        "run it in the foreground under systemd, supervisord or in a container",
        flags=("-D",),
        takes_value=False,
    ),
    Unsupported(
        "gunicorn",
        ("worker_tmp_dir",),
        "workers beat in shared memory, not in a file",
        needless=True,
    ),
    Unsupported(
        "gunicorn",
        ("initgroups",),
        "workers get the groups of --user by themselves",
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "gunicorn",
        ("secure_scheme_headers",),
        "let the proxy send X-Forwarded-Proto, and name the proxy in --forwarded-allow-ips",
    ),
    Unsupported(
        "gunicorn",
        ("forwarder_headers",),
        "SCRIPT_NAME is set with --root-path, never by a header",
    ),
    Unsupported(
        "gunicorn",
        ("header_map",),
        "header fields with an underscore in their name are always dropped",
        satisfied=("drop",),
    ),
    Unsupported("gunicorn", ("proxy_protocol",), _PROXY_PROTOCOL, satisfied=("off",)),
    Unsupported(
        "gunicorn",
        ("proxy_allow_ips",),
        _PROXY_PROTOCOL,
        flags=("--proxy-allow-from",),
        satisfied=("127.0.0.1,::1", "127.0.0.1"),
    ),
    Unsupported("gunicorn", ("protocol",), "only HTTP is spoken", satisfied=("http",)),
    Unsupported(
        "gunicorn",
        ("uwsgi_allow_ips",),
        "only HTTP is spoken",
        flags=("--uwsgi-allow-from",),
        satisfied=("127.0.0.1,::1", "127.0.0.1"),
    ),
    Unsupported(
        "gunicorn",
        _names(
            "permit_obsolete_folding strip_header_spaces permit_unconventional_http_method "
            "permit_unconventional_http_version casefold_http_method"
        ),
        _STRICT,
        takes_value=False,
    ),
    Unsupported(
        "gunicorn",
        _names("paste raw_paste_global_conf"),
        "name the factory: greenuni \"module:factory('settings.ini')\"",
        flags=("--paster", "--paste-global"),
    ),
    Unsupported(
        "gunicorn",
        ("logger_class",),
        "configure the loggers greenuni.error and greenuni.access with logconfig_dict",
        satisfied=("gunicorn.glogging.Logger",),
    ),
    Unsupported("gunicorn", ("syslog",), _SYSLOG, flags=("--log-syslog",), takes_value=False),
    Unsupported(
        "gunicorn",
        _names("syslog_addr syslog_prefix syslog_facility"),
        _SYSLOG,
        flags=("--log-syslog-to", "--log-syslog-prefix", "--log-syslog-facility"),
        satisfied=("user", "udp://localhost:514"),
    ),
    Unsupported(
        "gunicorn",
        ("disable_redirect_access_to_syslog",),
        _SYSLOG,
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "gunicorn",
        ("enable_stdio_inheritance",),
        "standard output and error are always inherited",
        flags=("-R",),
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported("gunicorn", _names("statsd_host statsd_prefix dogstatsd_tags"), _METRICS),
    Unsupported("gunicorn", ("enable_backlog_metric",), _METRICS, takes_value=False),
    Unsupported("gunicorn", ("default_proc_name",), "set proc_name", satisfied=("gunicorn",)),
    Unsupported(
        "gunicorn",
        _names(
            "on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort "
            "pre_exec pre_request post_request child_exit worker_exit nworkers_changed on_exit "
            "on_dirty_starting dirty_post_fork dirty_worker_init dirty_worker_exit"
        ),
        _HOOK,
        is_hook=True,
    ),
    Unsupported(
        "gunicorn",
        _names("dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout"),
        _DIRTY,
        flags=("--dirty-app",),
    ),
    Unsupported(
        "gunicorn",
        _names("control_socket control_socket_mode"),
        "there is no control socket; send signals",
    ),
    Unsupported(
        "gunicorn",
        ("control_socket_disable",),
        "there is no control socket",
        flags=("--no-control-socket",),
        satisfied=(True,),
        takes_value=False,
    ),
)

UVICORN = (
    Unsupported(
        "uvicorn, granian",
        _names(
            "ssl_keyfile ssl_keyfile_password ssl_certfile ssl_ca_certs ssl_cert_reqs ssl_ciphers"
        ),
        _TLS,
    ),
    Unsupported(
        "uvicorn", _names("reload_dir reload_include reload_exclude reload_delay"), _RELOAD
    ),
    Unsupported(
        "uvicorn, granian",
        ("http",),
        "HTTP/1.1 is served, and --http-engine chooses what parses it",
        satisfied=("auto", "1"),
        noted=("h11", "httptools"),
    ),
    Unsupported("uvicorn", ("http2",), _HTTP2, takes_value=False),
    Unsupported(
        "uvicorn",
        ("ws",),
        _WEBSOCKET,
        satisfied=("auto", "wsproto"),
        noted=("websockets", "websockets-sansio"),
    ),
    Unsupported(
        "uvicorn, granian",
        _names("env_file env_files"),
        "give each variable with --env NAME=value, or let systemd or the container read the file",
    ),
    Unsupported("uvicorn", ("use_colors",), "the log has no colours", takes_value=False),
    Unsupported(
        "uvicorn",
        ("no_use_colors",),
        "the log has no colours",
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "uvicorn",
        ("proxy_headers",),
        "they are believed from --forwarded-allow-ips",
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "uvicorn", ("no_proxy_headers",), "use --forwarded-allow-ips ''", takes_value=False
    ),
    Unsupported(
        "uvicorn",
        _names("server_header date_header"),
        "they are always sent",
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "uvicorn",
        _names("no_server_header no_date_header"),
        "let the proxy remove the field",
        takes_value=False,
    ),
    Unsupported(
        "uvicorn",
        ("limit_concurrency",),
        "--worker-connections limits what a worker holds",
    ),
    Unsupported("uvicorn", ("timeout_worker_healthcheck",), "use --timeout"),
    Unsupported("uvicorn", ("header",), "set the field in the application or in the proxy"),
    Unsupported(
        "uvicorn",
        ("h11_max_incomplete_event_size",),
        "use --limit-request-line, --limit-request-fields and --limit-request-field_size",
    ),
    Unsupported(
        "uvicorn",
        ("reset_contextvars",),
        "each request starts from a copy of the context that startup left",
        takes_value=False,
    ),
)

GRANIAN = (
    Unsupported(
        "granian",
        _names("ssl_certificate ssl_protocol_min ssl_ca ssl_crl"),
        _TLS,
    ),
    Unsupported("granian", _names("ssl_client_verify"), _TLS, takes_value=False),
    Unsupported("granian", ("no_ws",), _WEBSOCKET, takes_value=False),
    Unsupported(
        "granian",
        _names(
            "http2_initial_connection_window_size http2_initial_stream_window_size http2_keep_alive_interval "
            "http2_keep_alive_timeout http2_max_headers_size http2_max_send_buffer_size"
        ),
        _HTTP2,
    ),
    Unsupported("granian", ("http2_adaptive_window",), _HTTP2, takes_value=False),
    Unsupported(
        "granian", ("http1_header_read_timeout",), "use --header-timeout, which counts seconds"
    ),
    Unsupported(
        "granian",
        ("http1_buffer_size",),
        "use --limit-request-line, --limit-request-fields and --limit-request-field_size",
    ),
    Unsupported(
        "granian", ("http1_keep_alive",), "use --keep-alive", satisfied=(True,), takes_value=False
    ),
    Unsupported("granian", ("no_http1_keep_alive",), "use --keep-alive 0", takes_value=False),
    Unsupported("granian", ("http1_pipeline_flush",), "leave it out", takes_value=False),
    Unsupported("granian", ("backpressure",), "use --worker-connections"),
    Unsupported(
        "granian",
        _names("runtime_threads runtime_blocking_threads runtime_mode task_impl"),
        "there is no Rust runtime to configure",
    ),
    Unsupported(
        "granian",
        ("blocking_threads_idle_timeout",),
        "application threads live as long as their worker",
    ),
    Unsupported(
        "granian", ("log",), "the error log is always on", satisfied=(True,), takes_value=False
    ),
    Unsupported("granian", ("no_log",), "use --error-logfile /dev/null", takes_value=False),
    Unsupported("granian", ("access_log_fmt",), "use --access-logformat with gunicorn's atoms"),
    Unsupported("granian", ("url_path_prefix",), "use --root-path"),
    Unsupported(
        "granian",
        ("respawn_failed_workers",),
        "dead workers are always replaced",
        satisfied=(True,),
        takes_value=False,
    ),
    Unsupported(
        "granian", ("respawn_interval",), "replacement is immediate, and backs off by itself"
    ),
    Unsupported("granian", ("workers_kill_timeout",), "use --graceful-timeout"),
    Unsupported(
        "granian",
        ("workers_max_rss",),
        "use --max-worker-rss, whose number without a suffix is bytes: 512M",
    ),
    Unsupported(
        "granian",
        _names("rss_sample_interval rss_samples"),
        "--max-worker-rss is looked at every few seconds, and one look decides",
    ),
    Unsupported("granian", ("uds_permissions",), "use --umask"),
    Unsupported(
        "granian",
        _names("static_path_route static_path_mount static_path_dir_to_file static_path_expires"),
        "let the proxy or WhiteNoise serve static files",
    ),
    Unsupported("granian", ("metrics",), _METRICS, takes_value=False),
    Unsupported(
        "granian", _names("metrics_scrape_interval metrics_address metrics_port"), _METRICS
    ),
    Unsupported(
        "granian",
        _names(
            "reload_paths reload_ignore_dirs reload_ignore_patterns reload_ignore_paths reload_tick"
        ),
        _RELOAD,
    ),
    Unsupported(
        "granian",
        ("reload_ignore_worker_failure",),
        "after a failure the next change is waited for anyway",
        satisfied=(True,),
        takes_value=False,
    ),
)

UNSUPPORTED = GUNICORN + UVICORN + GRANIAN

BY_FLAG: Mapping[str, Unsupported] = {
    flag: entry for entry in UNSUPPORTED for flag in entry.all_flags
}
BY_KEY: Mapping[str, Unsupported] = {name: entry for entry in UNSUPPORTED for name in entry.names}
GUNICORN_KEYS: Mapping[str, Unsupported] = {
    name: entry for entry in GUNICORN for name in entry.names
}
