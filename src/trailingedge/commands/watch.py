"""The command `watch`: shows a running daemon in this terminal, or on a page for a browser with --web.

When this command ends, the daemon continues. The daemon is found in the same way as by `status`: by its symbol,
--socket or --pid. Exit codes: 0 ended by 'q' or a signal, 1 the daemon accepts no more watching clients, 2 the port of
--web is taken, 4 no daemon answers, 78 this user may not open its socket, or the settings cannot be read.
"""

import argparse
import asyncio
import errno
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

from trailingedge.commands import remote_control
from trailingedge.commands.watching.subscription import Subscription, SubscriptionRefused
from trailingedge.commands.watching.terminal_watch import WATCH_HINTS, TerminalWatch
from trailingedge.console.hotkeys import Hotkey, UnknownKey, read_hotkeys
from trailingedge.console.ui_selection import open_ui
from trailingedge.core.errors import ExitCode, most_severe
from trailingedge.live.control_socket import NoRunningDaemon, request
from trailingedge.live.process_signals import redraw_on_continue, stop_on_signals

DEFAULT_PORT: Final = 8642


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    remote_control.add_socket_arguments(parser)
    parser.add_argument("--plain", action="store_true", help="print plain lines, without the live panel")
    parser.add_argument(
        "--web",
        type=_port,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"serve a read-only page on 127.0.0.1 instead ({DEFAULT_PORT}; 0 picks a free port)",
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port; give a number from 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Watch until the user ends it. Raises ConfigError if the settings cannot be read."""
    try:
        places = remote_control.find_sockets(arguments, environ)
        if arguments.web is not None:
            from trailingedge.commands.watching.web_server import serve_page  # loaded late: only a page needs it

            return asyncio.run(
                _until_stopped(partial(serve_page, places, arguments.web, environ, partial(print, flush=True)))
            )
        return _watch_terminal(places, arguments, environ)
    except NoRunningDaemon as no_daemon:
        print(no_daemon, file=sys.stderr)
        return ExitCode.CONFIG if no_daemon.forbidden else ExitCode.UNREACHABLE
    except SubscriptionRefused as refused:
        print(refused, file=sys.stderr)
        return ExitCode.UNEXPECTED
    except OSError as error:  # only the page listens
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else str(error)
        print(f"port {arguments.web} cannot be opened: {reason}; --web 0 picks a free one", file=sys.stderr)
        return ExitCode.USAGE


def _watch_terminal(places: list[Path], arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    keys = sys.stdin is not None and sys.stdin.isatty()
    title = places[0].stem
    ui = open_ui(sys.stdout, environ, title, plain=arguments.plain, keys=keys, hints=WATCH_HINTS)
    try:

        async def watch(stop: Callable[[str], None]) -> None:
            watcher = TerminalWatch(ui, title, request, stop, time.monotonic)
            subscription = watcher.subscription = Subscription(places, watcher)
            loop = asyncio.get_running_loop()
            async with asyncio.TaskGroup() as tasks:

                def press(key: Hotkey | UnknownKey) -> None:
                    tasks.create_task(watcher.press(key))

                read_hotkeys(sys.stdin, loop, press, ui.on_enter, ui.on_end_of_input)
                await subscription.run()

        return asyncio.run(_until_stopped(watch, redraw_on_continue(ui.redraw)))
    finally:
        ui.close()


async def _until_stopped(
    watch: Callable[[Callable[[str], None]], Coroutine[Any, Any, None]],
    around: AbstractContextManager[None] | None = None,
) -> ExitCode:
    """Run `watch` until it calls the function that it gets as its argument, or until SIGINT or SIGTERM."""
    stopped = asyncio.Event()

    def stop(_reason: str) -> None:
        stopped.set()

    with stop_on_signals(stop), around or nullcontext():
        watching = asyncio.create_task(watch(stop))
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([watching, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not watching.done():
            watching.cancel()
            await asyncio.wait([watching])
            return ExitCode.OK
        failure = watching.exception()
        if failure is not None:
            raise most_severe(failure) if isinstance(failure, BaseExceptionGroup) else failure
    return ExitCode.OK
