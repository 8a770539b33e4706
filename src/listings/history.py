"""What has been public of a listing, and of the same asset under other listings."""

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.money import Money
from src.core.security import Actor
from src.listings.errors import ListingNotFound
from src.listings.models import Listing, ListingChange, ListingPrice, MarketSpell
from src.listings.queries import is_private_to, is_visible_to
from src.listings.schemas import ChangeRead, ListingHistory, PreviousPrice, PriceRead

MOST_PRICES = 1000
MOST_CHANGES = 200


async def of(session: AsyncSession, listing_id: UUID, viewer: Actor | None) -> ListingHistory:
    """The history of a visible listing; what a draft was priced at is its owner's affair.

    Raises:
        ListingNotFound: there is none, or none that the viewer may see.
    """
    prices = (await session.execute(_prices(listing_id, viewer))).all()[::-1]
    if not prices:
        raise ListingNotFound
    spells = (await session.execute(_spells(listing_id, clock.now()))).all()[::-1]
    changes = (await session.scalars(_changes(listing_id))).all()[::-1]
    published_at = prices[0].published_at
    present = [spell for spell in spells if _is_present(spell, listing_id, published_at)]
    shown = {spell.id for spell in present}
    asked: list[Any] = [price for price in prices if price.since is not None]
    return ListingHistory(
        items=[_price(row) for row in (asked if prices[0].is_private else _public(asked, present))],
        changes=[ChangeRead(at=row.seen_at, what=row.what, fields=row.fields or []) for row in changes],
        previous_prices=[_previous(spell, listing_id) for spell in spells if spell.id not in shown],
        **_totals(spells[0] if spells else None),
    )


def _prices(listing_id: UUID, viewer: Actor | None) -> Select[datetime | None, bool, datetime, int, str]:
    """The newest prices; without any, one row as long as the listing is visible."""
    return (
        select(
            Listing.published_at,
            is_private_to(viewer).label("is_private"),
            ListingPrice.since,
            ListingPrice.amount,
            ListingPrice.currency,
        )
        .join(ListingPrice, ListingPrice.listing_id == Listing.id, isouter=True)
        .where(Listing.id == listing_id, is_visible_to(viewer))
        .order_by(ListingPrice.since.desc(), ListingPrice.id.desc())
        .limit(MOST_PRICES)
    )


def _spells(listing_id: UUID, now: datetime) -> Select[Any]:
    """The newest spells of the listing and of its asset, each with totals over all of them."""
    newest = select(MarketSpell.asset_keys).where(MarketSpell.listing_id == listing_id)
    keys = newest.order_by(MarketSpell.started_at.desc(), MarketSpell.id.desc()).limit(1).scalar_subquery()
    until = func.greatest(MarketSpell.started_at, func.coalesce(MarketSpell.ended_at, now))
    in_order = (MarketSpell.started_at, MarketSpell.id)
    spell = (
        select(MarketSpell, until.label("until"))
        .add_columns(func.max(until).over(order_by=in_order, rows=(None, -1)).label("covered_until"))
        .where(or_(MarketSpell.listing_id == listing_id, MarketSpell.asset_keys.overlap(keys)))
        .subquery()
    )
    # Where the same asset is listed twice at once, a day counts once.
    added = func.greatest(spell.c.until - func.greatest(spell.c.started_at, spell.c.covered_until), timedelta())
    own = and_(spell.c.listing_id == listing_id)
    return (
        select(
            spell,
            _total(func.sum(spell.c.until - spell.c.started_at).filter(own)).label("own_time"),
            _total(func.sum(added)).label("whole_time"),
            _total(func.min(spell.c.started_at)).label("first_listed_at"),
            _total(func.count().filter(~spell.c.is_continued)).label("times_listed"),
        )
        .order_by(spell.c.started_at.desc(), spell.c.id.desc())
        .limit(MOST_PRICES)
    )


def _total(aggregate: Any) -> ColumnElement[Any]:
    return aggregate.over()  # type: ignore[no-any-return]


def _changes(listing_id: UUID) -> Select[ListingChange]:
    return (
        select(ListingChange)
        .where(ListingChange.listing_id == listing_id, ListingChange.seen_at.is_not(None))
        .order_by(ListingChange.seen_at.desc(), ListingChange.id.desc())
        .limit(MOST_CHANGES)
    )


def _is_present(spell: Row[Any], listing_id: UUID, published_at: datetime | None) -> bool:
    """Whether it belongs to this publication of the listing, and not to an earlier life or to another listing."""
    return spell.listing_id == listing_id and published_at is not None and spell.started_at >= published_at


def _public(prices: list[Row[Any]], spells: list[Row[Any]]) -> list[Row[Any]]:
    """The prices that were asked in public: in force when a spell began, since each new price begins one."""
    since = [price.since for price in prices]
    shown = {bisect_right(since, spell.started_at) - 1 for spell in spells}
    return [prices[index] for index in sorted(shown - {-1})]


def _price(row: Row[Any]) -> PriceRead:
    return PriceRead(since=row.since, price=Money(amount=row.amount, currency=row.currency))


def _previous(spell: Row[Any], listing_id: UUID) -> PreviousPrice:
    return PreviousPrice(
        since=spell.started_at,
        until=spell.ended_at,
        price=Money(amount=spell.price_amount, currency=spell.currency),
        is_this_listing=spell.listing_id == listing_id,
    )


def _totals(totals: Row[Any] | None) -> dict[str, Any]:
    if totals is None:
        return {"days_on_market": 0, "cumulative_days_on_market": 0, "first_listed_at": None, "times_listed": 0}
    return {
        "days_on_market": (totals.own_time or timedelta()).days,
        "cumulative_days_on_market": totals.whole_time.days,
        "first_listed_at": totals.first_listed_at,
        "times_listed": totals.times_listed,
    }
