"""Load: `wrk` on a list of paths, and what it saw."""

import os
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
# Past this share of a core, wrk itself is what limits.
BUSY_CLIENT = 0.9

_SCRIPT = """
local paths, turn = {}, 0
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
request = function()
  turn = turn % #paths + 1
  return wrk.format("GET", paths[turn])
end
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


class BenchError(Exception):
    """What was measured would mean nothing."""


class ClientBusyError(BenchError):
    """The client was the bottleneck, and not the server."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How many requests, how many a second, and latencies in milliseconds."""

    requests: int
    rate: float
    p50: float
    p95: float
    p99: float


def require_wrk() -> None:
    """Raises BenchError without wrk."""
    if shutil.which("wrk") is None:
        raise BenchError("make bench needs wrk (apt-get install wrk)")


def run(address: str, paths: list[str], seconds: int, connections: int = CONNECTIONS) -> Seen:
    """Ask for the paths in turn, over and over.

    Raises:
        BenchError: an answer was no success.
        ClientBusyError: the client was the bottleneck.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder, "script.lua"), Path(folder, "paths")
        script.write_text(_SCRIPT)
        listed.write_text("\n".join(paths) + "\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        ended = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, address],
            env={**os.environ, "BENCH_PATHS": str(listed)},
            capture_output=True,
            text=True,
            check=True,
        )
        busy = (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before) / seconds
    [line] = [line for line in ended.stdout.splitlines() if line.startswith("RESULT")]
    requests, microseconds, failed, *latencies = map(int, line.split()[1:])
    if failed:
        raise BenchError(f"{failed} of {requests} requests to {address}{paths[0]} failed")
    if busy > BUSY_CLIENT:
        raise ClientBusyError(f"wrk took {busy:.0%} of a core")
    return Seen(requests, requests / microseconds * 1e6, *(latency / 1000 for latency in latencies))
