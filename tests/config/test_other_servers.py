"""No setting of gunicorn, uvicorn or granian is met with "unknown"."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greenuni.config import Config
from greenuni.config.commandline import FLAGS, OWN_FLAGS
from greenuni.config.reference import render
from greenuni.config.settings import KEYS
from greenuni.config.unsupported import BY_FLAG, BY_KEY, UNSUPPORTED
from greenuni.errors import ConfigError

Read = Callable[..., Config]

SETTINGS_PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"

GUNICORN_SETTINGS = """
access_log_format accesslog asgi_disconnect_grace_period asgi_lifespan asgi_loop backlog bind ca_certs
capture_output casefold_http_method cert_reqs certfile chdir check_config child_exit ciphers config
control_socket control_socket_disable control_socket_mode daemon default_proc_name dirty_apps
dirty_graceful_timeout dirty_post_fork dirty_threads dirty_timeout dirty_worker_exit dirty_worker_init
dirty_workers disable_redirect_access_to_syslog do_handshake_on_connect dogstatsd_tags
enable_backlog_metric enable_stdio_inheritance errorlog forwarded_allow_ips forwarder_headers
graceful_timeout group header_map http2_cleartext http2_initial_window_size
http2_max_concurrent_streams http2_max_frame_size http2_max_header_list_size http_parser http_protocols
initgroups keepalive keyfile limit_request_field_size limit_request_fields limit_request_line logconfig
logconfig_dict logconfig_json logger_class loglevel max_requests max_requests_jitter nworkers_changed
on_dirty_starting on_exit on_reload on_starting paste permit_obsolete_folding
permit_unconventional_http_method permit_unconventional_http_version pidfile post_fork post_request
post_worker_init pre_exec pre_fork pre_request preload_app print_config proc_name protocol
proxy_allow_ips proxy_protocol pythonpath raw_env raw_paste_global_conf reload reload_engine
reload_extra_files reuse_port root_path secure_scheme_headers sendfile spew ssl_context ssl_version
statsd_host statsd_prefix strip_header_spaces suppress_ragged_eofs syslog syslog_addr syslog_facility
syslog_prefix threads timeout tmp_upload_dir umask user uwsgi_allow_ips websocket_max_message_size
when_ready worker_abort worker_class worker_connections worker_exit worker_int worker_tmp_dir workers
wsgi_app
"""
GUNICORN_FLAGS = """
--access-logfile --access-logformat --asgi-disconnect-grace-period --asgi-lifespan --asgi-loop --backlog
--bind --ca-certs --capture-output --casefold-http-method --cert-reqs --certfile --chdir --check-config
--ciphers --config --control-socket --control-socket-mode --daemon --dirty-app --dirty-graceful-timeout
--dirty-threads --dirty-timeout --dirty-workers --disable-redirect-access-to-syslog
--do-handshake-on-connect --dogstatsd-tags --enable-backlog-metric --enable-stdio-inheritance --env
--error-logfile --forwarded-allow-ips --forwarder-headers --graceful-timeout --group --header-map
--http-parser --http-protocols --http2-cleartext --http2-initial-window-size
--http2-max-concurrent-streams --http2-max-frame-size --http2-max-header-list-size --initgroups
--keep-alive --keyfile --limit-request-field_size --limit-request-fields --limit-request-line
--log-config --log-config-json --log-file --log-level --log-syslog --log-syslog-facility
--log-syslog-prefix --log-syslog-to --logger-class --max-requests --max-requests-jitter --name
--no-control-socket --no-sendfile --paste --paste-global --paster --permit-obsolete-folding
--permit-unconventional-http-method --permit-unconventional-http-version --pid --preload --print-config
--protocol --proxy-allow-from --proxy-protocol --pythonpath --reload --reload-engine
--reload-extra-file --reuse-port --root-path --spew --ssl-version --statsd-host --statsd-prefix
--strip-header-spaces --suppress-ragged-eofs --threads --timeout --umask --user --uwsgi-allow-from
--version --websocket-max-message-size --worker-class --worker-connections --worker-tmp-dir --workers
-D -R -b -c -e -g -h -k -m -n -p -t -u -v -w
"""
UVICORN_FLAGS = """
--access-log --app-dir --backlog --date-header --env-file --factory --fd --forwarded-allow-ips
--h11-max-incomplete-event-size --header --host --http --http2 --interface --lifespan
--limit-concurrency --limit-max-requests --limit-max-requests-jitter --log-config --log-level --loop
--no-access-log --no-date-header --no-proxy-headers --no-server-header --no-use-colors --port
--proxy-headers --reload --reload-delay --reload-dir --reload-exclude --reload-include
--reset-contextvars --root-path --server-header --ssl-ca-certs --ssl-cert-reqs --ssl-certfile
--ssl-ciphers --ssl-keyfile --ssl-keyfile-password --ssl-version --timeout-graceful-shutdown
--timeout-keep-alive --timeout-worker-healthcheck --uds --use-colors --version --workers --ws
--ws-max-queue --ws-max-size --ws-per-message-deflate --ws-ping-interval --ws-ping-timeout
"""
GRANIAN_FLAGS = """
--access-log --access-log-fmt --backlog --backpressure --blocking-threads
--blocking-threads-idle-timeout --env-files --factory --host --http --http1-buffer-size
--http1-header-read-timeout --http1-keep-alive --http1-pipeline-flush --http2-adaptive-window
--http2-initial-connection-window-size --http2-initial-stream-window-size --http2-keep-alive-interval
--http2-keep-alive-timeout --http2-max-concurrent-streams --http2-max-frame-size
--http2-max-headers-size --http2-max-send-buffer-size --interface --log --log-config --log-level --loop
--metrics --metrics-address --metrics-port --metrics-scrape-interval --no-access-log --no-factory
--no-http1-keep-alive --no-log --no-reload --no-ws --pid-file --port --process-name --reload
--reload-ignore-dirs --reload-ignore-paths --reload-ignore-patterns --reload-ignore-worker-failure
--reload-paths --reload-tick --respawn-failed-workers --respawn-interval --rss-sample-interval
--rss-samples --runtime-blocking-threads --runtime-mode --runtime-threads --ssl-ca --ssl-certificate
--ssl-client-verify --ssl-crl --ssl-keyfile --ssl-keyfile-password --ssl-protocol-min
--static-path-dir-to-file --static-path-expires --static-path-mount --static-path-route --task-impl
--uds --uds-permissions --url-path-prefix --version --workers --workers-kill-timeout
--workers-lifetime --workers-max-rss --working-dir --ws
"""


@pytest.mark.parametrize("flags", [GUNICORN_FLAGS, UVICORN_FLAGS, GRANIAN_FLAGS])
def test_every_flag_is_ours_an_alias_or_answered(flags: str) -> None:
    assert set(flags.split()) <= set(FLAGS) | set(BY_FLAG) | set(OWN_FLAGS)


def test_every_setting_of_a_gunicorn_file_is_ours_or_answered() -> None:
    assert set(GUNICORN_SETTINGS.split()) <= set(KEYS) | set(BY_KEY)


def test_what_is_ours_is_not_refused() -> None:
    assert not set(FLAGS) & set(BY_FLAG)
    assert not set(KEYS) & set(BY_KEY)
    names = [name for entry in UNSUPPORTED for name in entry.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("flag", sorted(BY_FLAG))
def test_answer_is_one_sentence_or_the_flag_passes(flag: str, read: Read) -> None:
    entry = BY_FLAG[flag]
    arguments = [flag, "something-else"] if entry.takes_value else [flag]
    if entry.needless or (not entry.takes_value and True in entry.satisfied):
        assert read(*arguments, "main:app").wsgi_app == "main:app"
        return
    with pytest.raises(ConfigError) as refused:
        read(*arguments, "main:app")
    assert str(refused.value) == f"{flag} ({entry.server}) is not supported: {entry.instead}"


@pytest.mark.parametrize("value", ["--header-map drop", "--header-map=drop", "--protocol=http"])
def test_value_that_asks_for_what_happens_anyway_passes(value: str, read: Read) -> None:
    assert read(*value.split(), "main:app").wsgi_app == "main:app"


def test_websocket_left_to_the_server_gets_a_note(read: Read, tmp_path: Path) -> None:
    assert read("--ws", "auto").notes == ()
    (note,) = read("--ws", "websockets").notes
    assert note.startswith("--ws: websockets has no effect: ASGI applications are served WebSocket")
    (tmp_path / "greenuni.toml").write_text('ws = "websockets"')
    (note,) = read().notes
    assert note.startswith("ws in greenuni.toml: websockets has no effect")
    with pytest.raises(ConfigError, match=r"^--ws \(uvicorn\) is not supported: .* 403"):
        read("--ws", "none")


def test_parser_of_another_server_gets_a_note(read: Read) -> None:
    (note,) = read("--http", "httptools").notes
    assert note.startswith("--http: httptools has no effect:")
    assert "--http-engine" in note


def test_sentences_name_only_flags_that_exist() -> None:
    words = [word.strip(";,.'") for entry in UNSUPPORTED for word in entry.instead.split()]
    assert {word for word in words if word.startswith("--")} <= set(FLAGS)


def test_reference_is_rendered_from_the_table() -> None:
    assert SETTINGS_PAGE.read_text() == render() + "\n", "run make docs"


def test_reading_settings_is_cheap_for_the_arbiter() -> None:
    script = "import sys, greenuni.config; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"asyncio", "anyio", "click", "h11", "ssl", "multiprocessing"} & set(
        done.stdout.split()
    )
