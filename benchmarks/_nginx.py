"""A real web server that responds to every create at once with the same bytes, also over TLS."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from benchmarks._child import ChildError, MissingError
from benchmarks._measure import server_cores
from benchmarks._orders import PATH, RESPONSE_BODY

# One process, and connections that live as long as the client wants: by itself nginx closes each
# after a thousand calls.
_CONFIGURATION = """\
daemon off;
master_process off;
pid {home}/nginx.pid;
error_log {home}/error.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 3600s;
    default_type application/json;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        ssl_certificate {home}/certificate.pem;
        ssl_certificate_key {home}/key.pem;
        location = /api{path} {{ return 200 '{response}'; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


@frozen(kw_only=True)
class Nginx:
    """Where it is, and the certificate of the authority that `tls_url` is signed by."""

    url: str
    tls_url: str
    status: str
    authority: str


@contextmanager
def nginx() -> Generator[Nginx]:
    """Run nginx on a free port, on another core than the client's; it ends with the block."""
    program = _program()
    port, tls_port = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as home:
        authority = _write_certificates(Path(home))
        configuration = Path(home) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                home=home, port=port, tls_port=tls_port, path=PATH, response=RESPONSE_BODY.decode()
            )
        )
        command = [program, "-p", home, "-c", str(configuration), "-e", f"{home}/error.log"]
        with subprocess.Popen(command) as process:
            try:
                server_cores(process.pid)
                base = f"http://127.0.0.1:{port}"
                _wait_for(f"{base}/status", process)
                yield Nginx(
                    url=f"{base}/api",
                    tls_url=f"https://127.0.0.1:{tls_port}/api",
                    status=f"{base}/status",
                    authority=authority,
                )
            finally:
                process.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _write_certificates(home: Path) -> str:
    """Write the server's certificate and key; return the path of the authority's certificate."""
    try:
        import trustme
    except ModuleNotFoundError:
        raise MissingError("trustme is missing: pip install trustme") from None
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    for place, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(home / "certificate.pem"), append=bool(place))
    issued.private_key_pem.write_to_path(str(home / "key.pem"))
    authority.cert_pem.write_to_path(str(home / "authority.pem"))
    return str(home / "authority.pem")


def _program() -> str:
    # Debian has it where only root looks.
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise MissingError("nginx is missing; on Debian: apt install nginx-light")
    return program


def versions() -> Mapping[str, str]:
    """Return which nginx it is."""
    shown = subprocess.run([_program(), "-v"], capture_output=True, text=True, check=True)
    return {"nginx": shown.stderr.strip().partition("/")[2]}


def _wait_for(status: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        try:
            accepted(status)
        except urllib.error.URLError:
            if process.poll() is not None:
                break
            time.sleep(0.01)
        else:
            return
    raise ChildError("nginx does not respond")


def accepted(status: str) -> int:
    """Return how many connections were opened so far, the one of this question among them."""
    with urllib.request.urlopen(status, timeout=5) as response:
        text = response.read().decode()
    found = re.search(r"^ (\d+) \d+ \d+", text, re.MULTILINE)
    assert found, text
    return int(found[1])
