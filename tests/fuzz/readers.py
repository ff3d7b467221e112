"""Readers of foreign bytes: each with its seeds, its mutations, and the errors by which it may refuse an input."""

import asyncio
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from tests.eventlog.record_builders import NAME as RECORD_NAME
from tests.fuzz import mutations
from tests.fuzz.engine import Reader
from tests.report.report_builders import a_one_sided_story, a_quiet_story, a_story
from tests.session_replay.golden_sessions import path_of
from tests.websocket.test_low_latency_transport import MemoryTransport
from websockets.client import ClientProtocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from trailingedge.auth.api_key_permissions import read_permissions
from trailingedge.auth.signing_process import parse_key
from trailingedge.backtest.candles import CandleBuilder
from trailingedge.backtest.file_kinds import detect_kind
from trailingedge.backtest.market_split import segments_of
from trailingedge.commands.market_history.verified_files import read_sum
from trailingedge.config import env_example, read_settings
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError, ProtocolViolation, RequestRefused
from trailingedge.core.time_units import HOUR_MS, MINUTE_MS
from trailingedge.eventlog.format import FRAME_PREFIXES
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.live import control_socket
from trailingedge.live.control_socket import NoRunningDaemon, parse_request
from trailingedge.notifications import telegram_api
from trailingedge.notifications.telegram_api import BotRefused, BotUnreachable
from trailingedge.notifications.telegram_updates import UpdateSequence, active_chat, read_message
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.json_output import as_data
from trailingedge.report.page import page
from trailingedge.report.terminal import summary_text
from trailingedge.session_replay.formatting import describe_line, field_differences
from trailingedge.session_replay.record_decoder import settings_from_header
from trailingedge.session_replay.recorded_steps import RecordedSteps
from trailingedge.session_replay.run import replay_session
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.simulator.feeds.market_loader import load_columns
from trailingedge.simulator.feeds.random_path import RandomPath
from trailingedge.sweep.trial_store import TrialStore
from trailingedge.websocket import result_parser
from trailingedge.websocket.error_codes import classify_error, forbids_requests, logon_remedy, server_time_of
from trailingedge.websocket.event_parser import ParsedReply, Reply, read_api_frame, read_stream_frame, read_top_fast
from trailingedge.websocket.json_fields import items
from trailingedge.websocket.low_latency_transport import LowLatencyConnection
from trailingedge.websocket.orders import read_order_list, read_outcome, read_replace_outcome
from trailingedge.websocket.trade_stream import read_trade

_SESSIONS: Final = ("fair", "faulty", "storm")
_SHORT_RECORD: Final = 25  # lines
_MOST_TICKS: Final = 3000
SYMBOL: Final = "ETHFDUSD"


# Frames ---------------------------------------------------------------------------------------


@cache
def _recorded_lines(session: str) -> list[bytes]:
    record = SessionRecord(path_of(session))
    return [line for batch in record.batches() for line in batch]


@cache
def _recorded_frames() -> list[bytes]:
    """Frames of recorded sessions, of each kind a few."""
    kinds: dict[object, list[bytes]] = {}
    for session in _SESSIONS:
        for line in _recorded_lines(session):
            if line.startswith(FRAME_PREFIXES):
                frame = decode(line)[3]
                raw = frame if isinstance(frame, bytes) else frame.encode()
                kinds.setdefault(_shape(raw), []).append(raw)
    return [frame for found in kinds.values() for frame in found[:3]]


def _shape(frame: bytes) -> object:
    try:
        value = json.loads(frame)
    except ValueError:
        return None
    inner = value.get("event") or value.get("data") or value.get("result") if isinstance(value, dict) else value
    first = inner[0] if isinstance(inner, list) and inner else inner
    return (tuple(value), tuple(first) if isinstance(first, dict) else type(first)) if isinstance(value, dict) else 0


_AGG_TRADE: Final = (
    b'{"e":"aggTrade","E":1672515782136,"s":"ETHFDUSD","a":12345,"p":"2500.01","q":"1.5","f":100,"l":105,'
    b'"T":1672515782136,"m":true,"M":true}'
)
_CONTROL: Final = (b'{"code":2,"msg":"Invalid request"}', b'{"result":null,"id":1}', b'{"e":"serverShutdown","E":1}')


def read_kline_rows(result: object) -> object:
    """Read klines as the rows of a file."""
    return [result_parser.read_kline_cells(row) for row in items(result, "klines")]


_RESULT_READERS: Final[tuple[Callable[[object], object], ...]] = (
    result_parser.read_server_time,
    partial(result_parser.read_exchange_info, symbol=SYMBOL),
    result_parser.read_klines,
    read_kline_rows,
    result_parser.read_book,
    result_parser.read_account,
    result_parser.read_commission,
    result_parser.read_order,
    result_parser.read_orders,
    result_parser.read_trades,
)


def _read_api(data: bytes, _: Path) -> object:
    """Read a frame of the API; then a reply as the result of any request, and as the outcome of any order."""
    parsed = read_api_frame(data)
    if not isinstance(parsed, ParsedReply):
        return parsed
    for read in _RESULT_READERS:
        with suppress(ProtocolViolation):
            read(parsed.reply.result)
    _read_outcomes(parsed.reply)
    return parsed


def _read_outcomes(reply: Reply) -> None:
    for read in (read_outcome, read_replace_outcome, read_order_list):
        with suppress(ProtocolViolation):
            read(reply)
    classify_error(reply)
    forbids_requests(reply)
    logon_remedy(reply)
    server_time_of(reply)


def _read_stream(data: bytes, _: Path) -> object:
    """Read a frame of the streams in each of the three ways."""
    short = read_top_fast(data)
    whole = read_stream_frame(data)
    if short is not None and short != whole:
        raise AssertionError("the short way reads another value")
    with suppress(ProtocolViolation):
        read_trade(data, SYMBOL)
    return whole


# Bytes of a connection ------------------------------------------------------------------------


def _handshaken(loop: asyncio.AbstractEventLoop) -> tuple[LowLatencyConnection, ServerProtocol]:
    async def open_connection() -> tuple[LowLatencyConnection, ServerProtocol]:
        server, transport = ServerProtocol(max_size=None), MemoryTransport()
        connection = LowLatencyConnection(ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=1 << 20))
        connection.connection_made(transport)
        connection.protocol.send_request(connection.protocol.connect())
        connection.send_data()
        server.receive_data(bytes(transport.written))
        (asked,) = server.events_received()
        server.send_response(server.accept(asked))  # type: ignore[arg-type]  # the first event is a request
        connection.data_received(b"".join(server.data_to_send()))
        return connection, server

    return loop.run_until_complete(open_connection())


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _read_bytes(data: bytes, _: Path) -> object:
    """Receive bytes after a handshake, in pieces whose sizes follow from the bytes."""
    connection, _server = _handshaken(_loop())
    frames: list[str | bytes] = []
    connection.start_delivery(frames.extend)

    async def receive() -> None:
        at, size = 0, 1 + len(data) % 61
        while at < len(data):
            connection.data_received(data[at : at + size])
            at, size = at + size, size * 3 % 4093 + 1
        connection.connection_lost(None)

    _loop().run_until_complete(receive())
    return len(frames), connection.protocol.state, type(connection.handler_error)


def _connection_seeds() -> list[bytes]:
    seeds = []
    for actions in (
        lambda server: server.send_text(b'{"a":1}'),
        lambda server: server.send_ping(b"12345"),
        lambda server: server.send_text(b"x" * 70_000),
        lambda server: (server.send_text(b"a", fin=False), server.send_continuation(b"b", fin=True)),
        lambda server: (server.send_text(b"last"), server.send_close(1001, "bye")),
        lambda server: [server.send_text(b"%d" % number) for number in range(20)],
    ):
        _, server = _handshaken(_loop())
        actions(server)
        seeds.append(b"".join(server.data_to_send()))
    return seeds


# Session records ------------------------------------------------------------------------------


def _record_seeds() -> list[bytes]:
    """The beginnings of recorded sessions, and pieces from their middle behind a header."""
    seeds = []
    for session in _SESSIONS:
        with gzip.open(path_of(session)) as file:
            head = file.readline()
        lines = _recorded_lines(session)
        # Without the line that builds the core, and the first tick, a replay would read nothing behind them.
        begin = next(number for number, line in enumerate(lines) if line.startswith(b'["core"'))
        first = next(number for number, line in enumerate(lines) if line.startswith(b'["tick"'))
        start = head + b"\n".join(lines[begin : first + 1]) + b"\n"
        orders = next((number for number, line in enumerate(lines) if line.startswith(b'["command"')), 500)
        pieces = (first + 1, orders - 2, len(lines) - _SHORT_RECORD)
        seeds.append(head + b"\n".join(lines[:_SHORT_RECORD]))
        seeds += [start + b"\n".join(lines[at : at + _SHORT_RECORD]) for at in pieces]
    return seeds


def _packed_record(data: bytes) -> bytes:
    """A record with these lines, in batches with the right sums; what is packed already stays as it is."""
    if data.startswith(b"\x1f\x8b"):
        return data
    lines = data.split(b"\n")
    batches = [b"\n".join(lines[at : at + 20]) + b"\n" for at in range(0, len(lines), 20)]
    return gzip.compress(b"".join(batch + b'["sum",%d]\n' % zlib.crc32(batch) for batch in batches), 1, mtime=0)


def _mutate_record(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if data.startswith(b"\x1f\x8b") or chance.random() < 0.1:
        return mutations.mutate_bytes(chance, _packed_record(data), others)
    return mutations.mutate_lines(chance, data, others)


def _written_record(data: bytes, path: Path) -> Path:
    record = path.with_name(RECORD_NAME)
    record.write_bytes(_packed_record(data))
    return record


def _read_record(data: bytes, path: Path) -> object:
    """Read a record as a replay does, and describe each of its lines as a difference would be."""
    record = SessionRecord(_written_record(data, path))
    settings_from_header(record.header, {})
    before = b""
    for step in RecordedSteps(record):
        for line in (*step.preceding, *step.outputs):
            with suppress(ValueError):  # of what is neither an input nor an output, only the kind was looked at
                describe_line(line)
            list(field_differences(before, line))
            before = line
    return record.incomplete_reason is None


def _replay(data: bytes, path: Path) -> object:
    """Replay the record with a real trading core; sometimes with a changed setting, with two of them."""
    changed = {"BUFFER": "0.003"} if len(data) % 2 else {}
    return replay_session(_written_record(data, path), changed).divergence is None


# Stories, market files ------------------------------------------------------------------------


@cache
def _story_seeds() -> list[bytes]:
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else ".", f"fuzz-seed-{id(object())}")
    seeds = []
    for report in (a_story(), a_quiet_story(), a_one_sided_story()):
        file_format.save(report, path)
        seeds.append(gzip.decompress(path.read_bytes()))
    path.unlink()
    return seeds


def _mutate_packed(
    mutate: mutations.Mutate, pack: Callable[[bytes], bytes], chance: Random, data: bytes, others: Sequence[bytes]
) -> bytes:
    """Change the content in nine of ten cases, and the packed bytes otherwise."""
    if data.startswith((b"\x1f\x8b", b"PK")) or chance.random() < 0.1:
        return mutations.mutate_bytes(chance, pack(data), others)
    return mutate(chance, data, others)


def _gzipped(data: bytes) -> bytes:
    return data if data.startswith(b"\x1f\x8b") else gzip.compress(data, 1, mtime=0)


def _read_story(data: bytes, path: Path) -> object:
    """Load a saved report; print some of them in every form, which takes most of the time."""
    path.write_bytes(_gzipped(data))
    report = file_format.load(path)
    if len(data) % 4 == 0:
        summary_text(report, 40)
        json.dumps(as_data(report))
        as_csv(report)
    if len(data) % 32 == 0:
        page(report)
    return report


_KLINES: Final = "".join(
    f"{1_700_000_040_000 + n * MINUTE_MS},{100 + n}.10,{101 + n}.25,{99 + n}.00,{100 + n}.20,3.5{n},"
    f"{1_700_000_040_000 + (n + 1) * MINUTE_MS - 1},0,5,0,0,0\n"
    for n in range(12)
).encode()
_HEADER: Final = b"open_time,open,high,low,close,volume,close_time,quote_volume,count,buy,buy_quote,ignore\n"
_TRADES: Final = "".join(
    f"{n + 1},{100 + n % 3}.5,0.{n + 1},0,{1_700_000_040_000 + n * 900},{n % 2 == 0},True\n" for n in range(15)
).encode()
_QUOTES: Final = "".join(
    f"{n},{100 + n % 3}.1,1.5,{100 + n % 3}.2,2,{1_700_000_040_000 + n * 900},{1_700_000_040_000 + n * 900}\n"
    for n in range(15)
).encode()


def _market_seeds() -> list[bytes]:
    micro = _KLINES.replace(b"0000,", b"0000000,").replace(b"9999,", b"9999999,")
    agg = b"665076760,58001.03,0.0862,745522877,745522877,1617566591314,false,true\n" * 3
    return [_KLINES, _HEADER + _KLINES, _TRADES, _QUOTES, micro, agg, b"\xef\xbb\xbf" + _KLINES.replace(b"\n", b"\r\n")]


def _zipped(data: bytes) -> bytes:
    if data.startswith(b"PK"):
        return data
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("ETHFDUSD-1m-2023-11.csv"), data, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("__MACOSX/._ETHFDUSD-1m-2023-11.csv"), b"\0\5\26\7")
    return file.getvalue()


def _read_market(data: bytes, path: Path) -> object:
    """Read a market file as the embedded exchange does, then as a backtest does, with its candles.

    A kline of a month is within the bounds, but its ticks take a second; only a few of them are made.
    """
    path.write_bytes(data)
    detect_kind(path)
    market = open_market([path], SYMBOL, "ETH", "FDUSD")
    if market.interval_ms > 10 * HOUR_MS:
        return len(list(islice(load_columns(market), 1)))
    ticks = sum(1 for _ in islice(market, _MOST_TICKS))
    candles = CandleBuilder(HOUR_MS)  # a gap of a year has few enough of them
    for segment in islice(segments_of(load_columns(market), HOUR_MS, RandomPath(1)), _MOST_TICKS):
        if segment.open_ms != candles.open_ms:
            candles.closed_by(segment)
        candles.add(segment)
    return ticks


def _read_csv(data: bytes, path: Path) -> object:
    return _read_market(data, path.with_suffix(".csv"))


def _read_zip(data: bytes, path: Path) -> object:
    return _read_market(_zipped(data), path.with_suffix(".zip"))


# Results of a sweep ---------------------------------------------------------------------------


def _trial_seeds() -> list[bytes]:
    parts = [{"growth": 0.97, "hold": 1.02, "drawdown_frac": 0.05, "exits": 3, "returns": [0.01], "trips": [0.02]}]
    runs = [{"market": 0, "parts": parts, "halted": False}]
    return [mutations.encoded({"key": "ab", "set": {"BUFFER": "0.1"}, "runs": runs})]


def _read_trials(data: bytes, path: Path) -> object:
    """Read a store of trials and calculate with what was read."""
    path.write_bytes(data)
    store = TrialStore(path)
    store.close()
    outcome = store.find("ab")
    if outcome is None:
        return None
    parts = [part for run in outcome.runs for part in run.parts]
    return [(part.growth / 2, part.hold / 2, part.exits + 1, sum(part.returns), sum(part.trips)) for part in parts]


# Settings, control socket, Telegram, keys -----------------------------------------------------


def _env_seeds() -> list[bytes]:
    """Pieces of the template, with the settings switched on; small, because the parser of the library is slow."""
    lines = [line.removeprefix(b"#") for line in env_example().encode().splitlines() if b"=" in line]
    pieces = [b"\n".join(lines[at : at + 6]) for at in range(0, len(lines), 6)]
    return [*pieces, b"SYMBOL=ETHFDUSD\nBUFFER='0.002' # note\nexport FEE=0.001\n\n# x\n"]


def _mutate_env(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a value, or bytes."""
    if chance.random() < 0.4:
        return mutations.mutate_bytes(chance, data, others)
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    name, _, _ = lines[place].partition(b"=")
    value = str(mutations.interesting(chance)).encode(errors="surrogatepass")
    lines[place] = name + b"=" + chance.choice((value, b'"' + value + b'"', b"'" + value + b"'", b"${HOME}", value * 2))
    return b"\n".join(lines)


def _read_env(data: bytes, path: Path) -> object:
    """Read a file of settings and check what was read; `read_settings` never raises."""
    path.write_bytes(data)
    loaded = read_settings({}, {}, path, file_needed=True)
    problems(loaded.settings, loaded.sources, loaded.unread)
    return bool(loaded.problems)


def _read_request(data: bytes, _: Path) -> object:
    return parse_request(data)


def _read_response(data: bytes, _: Path) -> object:
    return control_socket.parse_response(data)


_UPDATE: Final = {
    "update_id": 7,
    "message": {
        "message_id": 1,
        "from": {"id": 42, "is_bot": False, "first_name": "A"},
        "chat": {"id": 42, "type": "private"},
        "date": 1_700_000_000,
        "text": "/status",
    },
}
_REFUSAL: Final = {
    "ok": False,
    "error_code": 429,
    "description": "Too Many Requests: retry after 5",
    "parameters": {"retry_after": 5, "migrate_to_chat_id": -100},
}


def _telegram_seeds() -> list[bytes]:
    updates = {"ok": True, "result": [_UPDATE, {"update_id": 8}]}
    return [*map(mutations.encoded, (updates, {"ok": True, "result": True}, _REFUSAL)), b"<html>502 Bad Gateway</html>"]


def _read_telegram(data: bytes, _: Path) -> object:
    """Read an answer of the Bot API, and each update in it."""
    result = telegram_api._result(200, data)
    if not isinstance(result, list):
        return result
    return [(read_message(update), active_chat(update)) for update in UpdateSequence().accept(result)]


_PERMISSIONS: Final = (
    b'{"ipRestrict":true,"createTime":1698645219000,"enableWithdrawals":false,"enableInternalTransfer":false,'
    b'"permitsUniversalTransfer":false,"enableReading":true,"enableSpotAndMarginTrading":true}'
)


def _read_permissions(data: bytes, _: Path) -> object:
    return read_permissions(200 if len(data) % 4 else 400, data)


_ARCHIVED: Final = "ETHUSDT-1m-2025-06-02.zip"


def _read_checksum(data: bytes, _: Path) -> object:
    return read_sum(data, _ARCHIVED)


def _key_seeds() -> list[bytes]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), public]


def _read_key(data: bytes, _: Path) -> object:
    return parse_key(data)


def _readers() -> Iterator[Reader]:
    json_, rows = mutations.mutate_json, mutations.mutate_rows
    zipped = partial(_mutate_packed, rows, _zipped)
    story = partial(_mutate_packed, json_, _gzipped)
    yield Reader("api-frames", _recorded_frames, json_, _read_api, (ProtocolViolation,))
    streams = lambda: [*_recorded_frames(), _AGG_TRADE, *_CONTROL]  # noqa: E731
    yield Reader("stream-frames", streams, json_, _read_stream, (ProtocolViolation,))
    yield Reader("connection", _connection_seeds, mutations.mutate_bytes, _read_bytes, ())
    yield Reader("records", _record_seeds, _mutate_record, _read_record, (ConfigError,), in_suite=200)
    yield Reader("replays", _record_seeds, _mutate_record, _replay, (ConfigError,), in_suite=15)
    yield Reader("stories", _story_seeds, story, _read_story, (ConfigError,), in_suite=200)
    yield Reader("trials", _trial_seeds, json_, _read_trials, (ConfigError,), in_suite=200)
    yield Reader("market-csv", _market_seeds, rows, _read_csv, (ConfigError,), in_suite=200)
    yield Reader("market-zip", _market_seeds, zipped, _read_zip, (ConfigError,), in_suite=200)
    yield Reader("settings", _env_seeds, _mutate_env, _read_env, (), in_suite=100)
    requests = lambda: [b'{"command":"status"}\n', b'{"command":"withdraw"}', b"status"]  # noqa: E731
    yield Reader("control-requests", requests, json_, _read_request, (ValueError,))
    responses = lambda: [b'{"version":1,"ok":true,"text":"done","account":"ab"}\n']  # noqa: E731
    yield Reader("control-responses", responses, json_, _read_response, (NoRunningDaemon,))
    yield Reader("telegram", _telegram_seeds, json_, _read_telegram, (BotRefused, BotUnreachable))
    permissions = lambda: [_PERMISSIONS, b'{"code":-2015,"msg":"Invalid API-key"}']  # noqa: E731
    yield Reader("permissions", permissions, json_, _read_permissions, (ProtocolViolation, RequestRefused))
    checksums = lambda: [f"{'0a' * 32}  {_ARCHIVED}\n".encode(), b"<html>502 Bad Gateway</html>"]  # noqa: E731
    yield Reader("checksums", checksums, mutations.mutate_bytes, _read_checksum, ())
    yield Reader("keys", _key_seeds, mutations.mutate_bytes, _read_key, (ValueError,))


READERS: Final = {reader.name: reader for reader in _readers()}
