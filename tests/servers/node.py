"""`python -m tests.servers.node worker`: the command line, with the tests' own event known."""

from src import cli
from tests.servers import bells  # noqa: F401 - its handlers

if __name__ == "__main__":
    cli.main()
