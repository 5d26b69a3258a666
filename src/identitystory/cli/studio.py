"""The command ``studio``: the page in the browser, and the API behind it."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Annotated

from ..errors import ConfigError
from .options import say, tell

_HERE = ("127.0.0.1", "localhost", "::1")


def studio(
    *,
    library: Annotated[Path, "FOLDER"] | None = None,
    host: Annotated[str, "ADDRESS"] = "127.0.0.1",
    port: int = 8765,
    device: Annotated[str, "D"] = "auto",
    no_open: bool = False,
) -> int:
    """Work on stories in the browser.

    Serves a page in which stories are written, cast, painted and put in order, until Ctrl-C. Only this
    machine can reach it. With --host others can, by a link with a token that works once and is printed;
    put a server that speaks HTTPS before it where you do not trust the network.

    Args:
        library: where the stories are (default: identitystory/studio in XDG_DATA_HOME or ~/.local/share)
        host: the address to listen at: 0.0.0.0 for every network of this machine
        port: the port to listen at
        device: what paints: auto, cpu, cuda, cuda:N or mps
        no_open: print the link alone, and open no browser
    """
    try:
        import uvicorn

        from ..studio.app import create_app
    except ImportError as error:
        raise ConfigError(
            f"the studio needs {error.name}: pip install 'identitystory[studio]'"
        ) from None
    from ..studio.library import default_root

    if not 1 <= port <= 65535:
        raise ConfigError(f"--port is {port}; it must be 1 to 65535")
    listening = _listen(host, port)
    root = (library or default_root()).expanduser().absolute()
    root.mkdir(parents=True, exist_ok=True)
    here = host in _HERE
    shown = host if here else _reachable(host)
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"

    def announce(token: str) -> None:
        say(f"the next to come in: {address}#token={token}")

    app = create_app(
        root,
        device=device,
        login=not here,
        names=() if here else (host.lower(), socket.gethostname().lower()),
        announce=announce,
        ready=lambda: None if no_open or not here else _open(address),
        ended=lambda: server.should_exit,
    )
    tell(f"stories: {root}")
    if here:
        say(f"studio: {address} (Ctrl-C ends it)")
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=200,
            timeout_graceful_shutdown=1,
        )
    )
    server.run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """The socket that the server listens at."""
    made = None
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
    except OSError as error:
        if made is not None:
            made.close()
        raise ConfigError(
            f"the studio cannot listen at {host} port {port}: {error.strerror}; "
            "give another --port or --host"
        ) from None
    return made


def _reachable(host: str) -> str:
    """An address for a link to a server that listens at ``host``."""
    try:
        any_of_them = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    return socket.gethostname() if any_of_them else host


def _open(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
