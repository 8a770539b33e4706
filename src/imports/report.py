"""Tells whoever started an import how it goes: a progress bar on a terminal, elsewhere a line for each batch."""

from collections import Counter
from collections.abc import AsyncIterable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from src.imports.landing import Verdict
from src.imports.models import Outcome
from src.imports.sheet import Sheet

Figures = Counter[Outcome]


async def tell(sheet: Sheet, size: int, batches: AsyncIterable[list[Verdict]]) -> Figures:
    """Follow an import of `size` bytes to its end, naming each row that failed or stayed a draft for want of something.

    What is told has been committed.
    """
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if sheet.unknown_columns:
        console.print("Columns that no field goes by, ignored: " + ", ".join(sheet.unknown_columns))
    figures = Figures()
    with _bar(console) as bar:
        task = bar.add_task("", total=size, landed=0)
        async for batch in batches:
            figures.update(verdict.outcome for verdict in batch)
            bar.update(task, completed=sheet.position, landed=landed(figures))
            for verdict in batch:
                if verdict.problems:
                    console.print(_sentence(verdict))
            if not console.is_terminal:
                console.print(f"lines {batch[0].line}-{batch[-1].line} done: {_summary(figures)}")
    console.print(f"{figures.total():,} rows: {_summary(figures)}")
    return figures


def landed(figures: Figures) -> int:
    """How many rows became listings."""
    return sum(count for outcome, count in figures.items() if outcome.is_landed)


def _bar(console: Console) -> Progress:
    columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(), TextColumn("{task.fields[landed]:,} landed"))
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


def _sentence(verdict: Verdict) -> str:
    reasons = "; ".join(f"{problem.field}: {problem.reason}" for problem in verdict.problems)
    return f"line {verdict.line} {_SAID.get(verdict.outcome, verdict.outcome)}: {reasons}"


_SAID = {Outcome.FAILED: "failed", Outcome.DRAFT: "landed as a draft"}


def _summary(figures: Figures) -> str:
    published, waiting, drafts = (
        f"{figures[outcome]:,}" for outcome in (Outcome.PUBLISHED, Outcome.PENDING_REVIEW, Outcome.DRAFT)
    )
    parts = f"{published} published, {waiting} waiting for review, {drafts} drafts"
    return (
        f"{landed(figures):,} landed ({parts}), {figures[Outcome.UNCHANGED]:,} unchanged, "
        f"{figures[Outcome.FAILED]:,} failed"
    )
