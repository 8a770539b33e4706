"""`make bench SIZES="10000 300000" SECONDS=5`: runs everything, prints a Markdown table and keeps it in RESULTS.md."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from urllib.parse import urlencode

from benchmarks import data, events, samples, servers
from benchmarks.load import BenchError, require_wrk
from benchmarks.logins import logging_in
from benchmarks.report import Line, postgres_version, table
from benchmarks.samples import API
from benchmarks.servers import Figures, Server
from src.core import embedded
from src.core.config import settings

TURNS = 2
LATER_PAGE = 500
CALM_CONNECTIONS = 2
FEW_REQUESTS, MANY_REQUESTS = 10_000, 100_000
RESULTS = Path(__file__).with_name("RESULTS.md")

Pair = tuple[list[Figures], list[Figures]]
Paths = tuple[list[str], list[str]]


def main() -> None:
    """Measure with databases of the sizes given, smallest first; the last argument is how long one run takes."""
    *sizes, seconds = map(int, sys.argv[1:])
    try:
        require_wrk()
        with embedded.running(settings().data_dir / "bench" / "postgres") as admin_url:
            urls = [asyncio.run(data.make(admin_url, size)) for size in sizes]
            lines = _lines(sizes, urls, seconds)
            made = table(lines, sizes, postgres_version(admin_url))
    except BenchError as exc:
        sys.exit(str(exc))
    RESULTS.write_text(made)
    print(made)


def _lines(sizes: list[int], urls: list[str], seconds: int) -> list[Line]:
    folder = settings().data_dir.absolute() / "bench"
    same = folder / "same.json"
    asyncio.run(samples.record_same(urls[-1], same))
    with ExitStack() as stack:
        small = stack.enter_context(servers.ours(urls[0], 8901, folder / "small"))
        large = stack.enter_context(servers.ours(urls[-1], 8902, folder / "large"))
        limit = stack.enter_context(servers.limit(urls[-1], 8903, same))
        for url in urls:
            asyncio.run(servers.wait_for_quiet(url))
        lines = [
            *_against_limit(large, limit, urls[-1], seconds),
            *_words(large, limit, seconds),
            *_growth(small, large, sizes, urls, seconds),
            *_logins(large, urls[-1], seconds),
            *_memory(large, urls[-1], seconds),
        ]
    return [*lines, *events.measure(urls[0], folder, seconds)]


def _in_turn(first: Callable[[], Figures], second: Callable[[], Figures]) -> Pair:
    """A B A B, so that what the machine does meanwhile meets both."""
    turns = [(first(), second()) for _ in range(TURNS)]
    return [one for one, _ in turns], [two for _, two in turns]


def _rate(figures: list[Figures]) -> float:
    return mean(one.seen.rate for one in figures)


def _cpu(figures: list[Figures]) -> float:
    return mean(one.cpu for one in figures)


def _against_limit(server: Server, limit: Server, url: str, seconds: int) -> list[Line]:
    ids = asyncio.run(samples.vehicle_ids(url))
    ranges = asyncio.run(samples.price_ranges(url))
    asked = [f"price_min={one['price_min']}&price_max={one['price_max']}" for one in ranges]
    questions = {
        "listing detail": ([f"{API}/listings/{one}" for one in ids], [f"/detail/{one}" for one in ids]),
        "search: kind, price range, sort; 20 of them": (
            [f"{API}/vehicles?currency=USD&{one}&sort=price_asc&limit=20" for one in asked],
            [f"/search?{one}" for one in asked],
        ),
    }
    return [_ratio(name, server, limit, paths, seconds) for name, paths in questions.items()]


def _ratio(name: str, server: Server, limit: Server, paths: Paths, seconds: int) -> Line:
    mine, bare = _in_turn(lambda: server.measure(paths[0], seconds), lambda: limit.measure(paths[1], seconds))
    ratio = _rate(mine) / _rate(bare)
    told = f"{_rate(mine):,.0f} of {_rate(bare):,.0f} req/s; {_cpu(mine):.0f} and {_cpu(bare):.0f} µs of CPU each"
    return Line(f"{name}: share of the limit", ratio, "≥ 0.65", ratio >= 0.65, told)


def _words(server: Server, limit: Server, seconds: int) -> list[Line]:
    ours = [f"{API}/vehicles?{urlencode(asked)}" for asked in samples.WORDS]
    theirs = [f"/same/{number}" for number in range(len(samples.WORDS))]
    mine, bare = _in_turn(
        lambda: server.measure(ours, seconds, CALM_CONNECTIONS),
        lambda: limit.measure(theirs, seconds, CALM_CONNECTIONS),
    )
    p95, bare_p95 = (mean(one.seen.p95 for one in figures) for figures in (mine, bare))
    ratio = p95 / bare_p95
    told = f"{p95:.1f} ms against {bare_p95:.1f} ms"
    return [Line("words, filters and facets: p95 against the same SQL bare", ratio, "≤ 1.5", ratio <= 1.5, told)]


def _growth(small: Server, large: Server, sizes: list[int], urls: list[str], seconds: int) -> list[Line]:
    few, many = (
        [f"{API}/listings/{one}" for one in asyncio.run(samples.vehicle_ids(url))] for url in (urls[0], urls[-1])
    )
    first = [f"{API}/listings?limit=20"]
    later = [[samples.later_page(server.address, LATER_PAGE)] for server in (small, large)]
    questions = {"detail": (few, many), "first page": (first, first), f"page {LATER_PAGE}": (later[0], later[1])}
    span = f"from {sizes[0]:,} to {sizes[-1]:,}"
    return [_grown(f"{name}: time {span}", small, large, paths, seconds) for name, paths in questions.items()]


def _grown(name: str, small: Server, large: Server, paths: Paths, seconds: int) -> Line:
    before, after = _in_turn(lambda: small.measure(paths[0], seconds), lambda: large.measure(paths[1], seconds))
    ratio = _rate(before) / _rate(after)
    return Line(name, ratio, "≤ 1.5", ratio <= 1.5, f"{_rate(before):,.0f} and {_rate(after):,.0f} req/s")


def _logins(server: Server, url: str, seconds: int) -> list[Line]:
    paths = [f"{API}/listings/{one}" for one in asyncio.run(samples.vehicle_ids(url))]

    def busy() -> Figures:
        with logging_in(server.address):
            return server.measure(paths, seconds, CALM_CONNECTIONS)

    idle, hashing = _in_turn(lambda: server.measure(paths, seconds, CALM_CONNECTIONS), busy)
    p99, idle_p99 = (mean(one.seen.p99 for one in figures) for figures in (hashing, idle))
    ratio = p99 / idle_p99
    told = f"{p99:.1f} ms, idle {idle_p99:.1f} ms"
    return [Line("detail: p99 under 20 logins a second", ratio, "≤ 2", ratio <= 2, told)]


def _memory(server: Server, url: str, seconds: int) -> list[Line]:
    paths = [f"{API}/listings/{one}" for one in asyncio.run(samples.vehicle_ids(url))]
    before, after = (_after_requests(server, paths, wanted, seconds) for wanted in (FEW_REQUESTS, MANY_REQUESTS))
    told = f"{before:.0f} MB after {FEW_REQUESTS:,} requests, {after:.0f} MB after {MANY_REQUESTS:,} more"
    ratio = after / before
    return [Line("memory of a server process", ratio, "≤ 1.1, < 200 MB", ratio <= 1.1 and after < 200, told)]


def _after_requests(server: Server, paths: list[str], wanted: int, seconds: int) -> float:
    asked = 0
    while asked < wanted:
        asked += server.measure(paths, seconds).seen.requests
    return server.megabytes()


if __name__ == "__main__":
    main()
