"""The first schema"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from src.listings.models import Cube

revision: str = "2026_11_21_first_schema"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


APPEND_ONLY = ("events", "audit_log")


def upgrade() -> None:  # noqa: PLR0915 - one table after the other
    op.execute("CREATE EXTENSION IF NOT EXISTS cube")
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_subject_id_occurred_at", "audit_log", ["subject_id", "occurred_at"], unique=False)
    op.create_table(
        "countries",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("phone_prefix", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_countries")),
    )
    op.create_table(
        "datasets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_datasets")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_occurred_at"), "events", ["occurred_at"], unique=False)
    op.create_table(
        "handled_events",
        sa.Column("handler", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("handler", "event_id", name=op.f("pk_handled_events")),
    )
    op.create_table(
        "revocations",
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_not_before"), "revocations", ["not_before"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_trusted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('user', 'broker', 'moderator', 'admin')", name=op.f("ck_users_role")),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_users_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_key", name=op.f("uq_users_email_key")),
    )
    op.create_table(
        "cities",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("names", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("population", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["country"], ["countries.code"], name=op.f("fk_cities_country")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cities")),
    )
    op.create_index("ix_cities_country_population", "cities", ["country", "population"], unique=False)
    op.create_table(
        "credentials",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_credentials_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_credentials")),
    )
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_outbox_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_next_attempt_at_event_id", "outbox", ["next_attempt_at", "event_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "city_names",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("city_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "city_id", name=op.f("pk_city_names")),
    )
    op.create_table(
        "listings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "is_public",
            sa.Boolean(),
            sa.Computed("status IN ('published', 'reserved')", persisted=True),
            nullable=False,
        ),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("rent_period", sa.Text(), nullable=True),
        sa.Column("price_amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("negotiable", sa.Boolean(), nullable=False),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("city_key", sa.Text(), nullable=True),
        sa.Column("city_id", sa.Integer(), nullable=True),
        sa.Column("subdivision", sa.Text(), nullable=True),
        sa.Column("woreda", sa.Text(), nullable=True),
        sa.Column("landmark", sa.Text(), nullable=True),
        sa.Column("postal_code", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("public_latitude", sa.Double(), nullable=True),
        sa.Column("public_longitude", sa.Double(), nullable=True),
        sa.Column(
            "sphere",
            Cube(),
            sa.Computed(
                "CASE WHEN public_latitude IS NOT NULL THEN cube(ARRAY[6371.0088 * cos(radians(public_latitude)) * cos(radians(public_longitude)), 6371.0088 * cos(radians(public_latitude)) * sin(radians(public_longitude)), 6371.0088 * sin(radians(public_latitude))]) END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column("features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("completeness", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hold_reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_edited_since_review", sa.Boolean(), nullable=False),
        sa.Column("status_before_suspension", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("price_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_price_amount", sa.BigInteger(), nullable=True),
        sa.Column("close_price_currency", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('vehicle', 'property')", name=op.f("ck_listings_kind")),
        sa.CheckConstraint("purpose IN ('sale', 'rent')", name=op.f("ck_listings_purpose")),
        sa.CheckConstraint("rent_period IN ('day', 'week', 'month', 'year')", name=op.f("ck_listings_rent_period")),
        sa.CheckConstraint("rent_period IS NULL OR purpose = 'rent'", name=op.f("ck_listings_rent_period_of_rent")),
        sa.CheckConstraint(
            "status IN ('draft', 'pending_review', 'changes_requested', 'rejected', 'published', 'reserved', 'on_hold', 'sold', 'rented', 'withdrawn', 'expired', 'suspended', 'archived')",
            name=op.f("ck_listings_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('published', 'reserved') OR (published_at IS NOT NULL AND expires_at IS NOT NULL AND price_amount IS NOT NULL AND country IS NOT NULL AND city IS NOT NULL)",
            name=op.f("ck_listings_complete_when_public"),
        ),
        sa.CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name=op.f("ck_listings_point")),
        sa.CheckConstraint("(price_amount IS NULL) = (currency IS NULL)", name=op.f("ck_listings_price_has_currency")),
        sa.CheckConstraint(
            "close_price_amount BETWEEN 1 AND 1000000000000000", name=op.f("ck_listings_close_price_amount")
        ),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_listings_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_listings_longitude")),
        sa.CheckConstraint("price_amount BETWEEN 1 AND 1000000000000000", name=op.f("ck_listings_price_amount")),
        sa.ForeignKeyConstraint(["city_id"], ["cities.id"], name=op.f("fk_listings_city_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["country"], ["countries.code"], name=op.f("fk_listings_country")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_listings_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
    )
    op.create_index("ix_listings_city_id", "listings", ["city_id"], unique=False, postgresql_where=sa.text("is_public"))
    op.create_index(
        "ix_listings_city_key", "listings", ["city_key"], unique=False, postgresql_where=sa.text("is_public")
    )
    op.create_index(
        "ix_listings_features",
        "listings",
        ["features"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "ix_listings_latitude",
        "listings",
        ["public_latitude", "public_longitude"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "ix_listings_newest",
        "listings",
        ["kind", "published_at", "id"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "ix_listings_newest_mixed",
        "listings",
        ["published_at", "id"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index("ix_listings_owner_id_id", "listings", ["owner_id", "id"], unique=False)
    op.create_index(
        "ix_listings_price",
        "listings",
        ["kind", "currency", "price_amount", "id"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "ix_listings_price_mixed",
        "listings",
        ["price_amount", "id", "kind", "currency"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index("ix_listings_region", "listings", [sa.literal_column("lower(region)")], unique=False)
    op.create_index(
        "ix_listings_search",
        "listings",
        ["search"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "ix_listings_sphere",
        "listings",
        ["sphere"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("is_public"),
    )
    op.create_index("ix_listings_status_expires_at", "listings", ["status", "expires_at"], unique=False)
    op.create_index("ix_listings_subdivision", "listings", [sa.literal_column("lower(subdivision)")], unique=False)
    op.create_index("uq_listings_owner_id_external_id", "listings", ["owner_id", "external_id"], unique=True)
    op.create_table(
        "favourites",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_favourites_listing_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_favourites_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "listing_id", name=op.f("pk_favourites")),
    )
    op.create_index("ix_favourites_listing_id", "favourites", ["listing_id"], unique=False)
    op.create_index(
        "ix_favourites_user_id_created_at", "favourites", ["user_id", "created_at", "listing_id"], unique=False
    )
    op.create_table(
        "listing_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("moderator_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_decisions_listing_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["moderator_id"], ["users.id"], name=op.f("fk_listing_decisions_moderator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_decisions")),
    )
    op.create_index("ix_listing_decisions_listing_id_id", "listing_decisions", ["listing_id", "id"], unique=False)
    op.create_table(
        "listing_prices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_prices_listing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_prices")),
    )
    op.create_index("ix_listing_prices_listing_id_since", "listing_prices", ["listing_id", "since"], unique=False)
    op.create_table(
        "properties",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("property_type", sa.Text(), nullable=True),
        sa.Column("property_sub_type", sa.Text(), nullable=True),
        sa.Column("bedrooms_total", sa.Integer(), nullable=True),
        sa.Column("bathrooms_full", sa.Integer(), nullable=True),
        sa.Column("bathrooms_half", sa.Integer(), nullable=True),
        sa.Column("living_area_m2", sa.Double(), nullable=True),
        sa.Column("lot_size_m2", sa.Double(), nullable=True),
        sa.Column("year_built", sa.Integer(), nullable=True),
        sa.Column("year_renovated", sa.Integer(), nullable=True),
        sa.Column("rooms_total", sa.Integer(), nullable=True),
        sa.Column("stories_total", sa.Integer(), nullable=True),
        sa.Column("entry_level", sa.Integer(), nullable=True),
        sa.Column("garage_spaces", sa.Integer(), nullable=True),
        sa.Column("furnished", sa.Text(), nullable=True),
        sa.Column("property_condition", sa.Text(), nullable=True),
        sa.Column("cooling", sa.Text(), nullable=True),
        sa.Column("pets_allowed", sa.Boolean(), nullable=True),
        sa.Column("availability_date", sa.Date(), nullable=True),
        sa.Column("tenure", sa.Text(), nullable=True),
        sa.Column("water_source", sa.Text(), nullable=True),
        sa.Column("electric", sa.Text(), nullable=True),
        sa.Column("association_fee_amount", sa.BigInteger(), nullable=True),
        sa.Column("association_fee_currency", sa.Text(), nullable=True),
        sa.Column("title_number_hash", sa.Text(), nullable=True),
        sa.CheckConstraint("cooling IN ('none', 'central', 'split', 'other')", name=op.f("ck_properties_cooling")),
        sa.CheckConstraint(
            "furnished IN ('furnished', 'partially', 'unfurnished')", name=op.f("ck_properties_furnished")
        ),
        sa.CheckConstraint(
            "property_condition IN ('new_construction', 'under_construction', 'excellent', 'good', 'average', 'fair', 'poor')",
            name=op.f("ck_properties_property_condition"),
        ),
        sa.CheckConstraint(
            "property_sub_type IN ('apartment', 'condominium', 'single_family_residence', 'villa', 'townhouse', 'duplex', 'multi_family', 'office', 'retail', 'warehouse', 'land')",
            name=op.f("ck_properties_property_sub_type"),
        ),
        sa.CheckConstraint(
            "property_type IN ('residential', 'commercial', 'land', 'farm')", name=op.f("ck_properties_property_type")
        ),
        sa.CheckConstraint(
            "tenure IN ('lease', 'old_possession', 'condominium', 'cooperative', 'freehold')",
            name=op.f("ck_properties_tenure"),
        ),
        sa.CheckConstraint(
            "association_fee_amount BETWEEN 1 AND 1000000000000000", name=op.f("ck_properties_association_fee_amount")
        ),
        sa.CheckConstraint(
            "living_area_m2 > 0 AND living_area_m2 <= 10000000", name=op.f("ck_properties_living_area_m2")
        ),
        sa.CheckConstraint("lot_size_m2 > 0 AND lot_size_m2 <= 100000000000", name=op.f("ck_properties_lot_size_m2")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_properties_listing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_properties")),
    )
    op.create_index(
        "ix_properties_area",
        "properties",
        [sa.literal_column("coalesce(living_area_m2, lot_size_m2, 0)"), "listing_id"],
        unique=False,
    )
    op.create_index(op.f("ix_properties_title_number_hash"), "properties", ["title_number_hash"], unique=False)
    op.create_table(
        "vehicles",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=True),
        sa.Column("make", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("trim", sa.Text(), nullable=True),
        sa.Column("body_type", sa.Text(), nullable=True),
        sa.Column("model_year", sa.Integer(), nullable=True),
        sa.Column("mileage", sa.Integer(), nullable=True),
        sa.Column("mileage_unit", sa.Text(), nullable=True),
        sa.Column(
            "mileage_km",
            sa.Numeric(),
            sa.Computed("mileage * CASE mileage_unit WHEN 'mi' THEN 1.609344 ELSE 1 END", persisted=True),
            nullable=True,
        ),
        sa.Column("fuel_type", sa.Text(), nullable=True),
        sa.Column("transmission", sa.Text(), nullable=True),
        sa.Column("drive_wheel_configuration", sa.Text(), nullable=True),
        sa.Column("engine_displacement_cc", sa.Integer(), nullable=True),
        sa.Column("engine_power_kw", sa.Double(), nullable=True),
        sa.Column("cylinders", sa.Integer(), nullable=True),
        sa.Column("number_of_doors", sa.Integer(), nullable=True),
        sa.Column("seating_capacity", sa.Integer(), nullable=True),
        sa.Column("color", sa.Text(), nullable=True),
        sa.Column("interior_type", sa.Text(), nullable=True),
        sa.Column("item_condition", sa.Text(), nullable=True),
        sa.Column("number_of_previous_owners", sa.Integer(), nullable=True),
        sa.Column("accident_history", sa.Text(), nullable=True),
        sa.Column("steering_position", sa.Text(), nullable=True),
        sa.Column("battery_kwh", sa.Double(), nullable=True),
        sa.Column("battery_soh_pct", sa.Double(), nullable=True),
        sa.Column("range_km", sa.Integer(), nullable=True),
        sa.Column("charge_ports", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("plate_code", sa.Text(), nullable=True),
        sa.Column("duty_status", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "accident_history IN ('none', 'repaired', 'unknown', 'damaged')", name=op.f("ck_vehicles_accident_history")
        ),
        sa.CheckConstraint(
            "body_type IN ('sedan', 'hatchback', 'suv', 'pickup', 'van', 'minibus', 'bus', 'truck', 'motorcycle', 'three_wheeler', 'coupe', 'convertible', 'wagon')",
            name=op.f("ck_vehicles_body_type"),
        ),
        sa.CheckConstraint(
            "drive_wheel_configuration IN ('fwd', 'rwd', '4wd', 'awd')",
            name=op.f("ck_vehicles_drive_wheel_configuration"),
        ),
        sa.CheckConstraint(
            "duty_status IN ('paid', 'free_ngo', 'free_diplomat', 'free_returnee', 'free_investment')",
            name=op.f("ck_vehicles_duty_status"),
        ),
        sa.CheckConstraint(
            "fuel_type IN ('petrol', 'diesel', 'hybrid', 'plug_in_hybrid', 'electric', 'lpg', 'cng')",
            name=op.f("ck_vehicles_fuel_type"),
        ),
        sa.CheckConstraint(
            "interior_type IN ('cloth', 'leather', 'synthetic')", name=op.f("ck_vehicles_interior_type")
        ),
        sa.CheckConstraint(
            "item_condition IN ('new', 'used', 'refurbished', 'damaged')", name=op.f("ck_vehicles_item_condition")
        ),
        sa.CheckConstraint("mileage_unit IN ('km', 'mi')", name=op.f("ck_vehicles_mileage_unit")),
        sa.CheckConstraint("steering_position IN ('lhd', 'rhd')", name=op.f("ck_vehicles_steering_position")),
        sa.CheckConstraint(
            "transmission IN ('manual', 'automatic', 'cvt', 'dct', 'single_speed')",
            name=op.f("ck_vehicles_transmission"),
        ),
        sa.CheckConstraint("battery_kwh > 0 AND battery_kwh <= 10000", name=op.f("ck_vehicles_battery_kwh")),
        sa.CheckConstraint("battery_soh_pct BETWEEN 0 AND 100", name=op.f("ck_vehicles_battery_soh_pct")),
        sa.CheckConstraint(
            "engine_power_kw > 0 AND engine_power_kw <= 10000", name=op.f("ck_vehicles_engine_power_kw")
        ),
        sa.CheckConstraint("mileage BETWEEN 0 AND 5000000", name=op.f("ck_vehicles_mileage")),
        sa.CheckConstraint("model_year BETWEEN 1885 AND 2100", name=op.f("ck_vehicles_model_year")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_vehicles_listing_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_vehicles")),
    )
    op.create_index(
        "ix_vehicles_make_model",
        "vehicles",
        [sa.literal_column("lower(make)"), sa.literal_column("lower(model)")],
        unique=False,
    )
    op.create_index(
        "ix_vehicles_mileage_order",
        "vehicles",
        [sa.literal_column("coalesce(mileage_km, 1000000000)"), "listing_id"],
        unique=False,
    )
    op.create_index(
        "ix_vehicles_year_order", "vehicles", [sa.literal_column("coalesce(model_year, 0)"), "listing_id"], unique=False
    )
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def downgrade() -> None:
    op.drop_index("ix_vehicles_year_order", table_name="vehicles")
    op.drop_index("ix_vehicles_mileage_order", table_name="vehicles")
    op.drop_index("ix_vehicles_make_model", table_name="vehicles")
    op.drop_table("vehicles")
    op.drop_index(op.f("ix_properties_title_number_hash"), table_name="properties")
    op.drop_index("ix_properties_area", table_name="properties")
    op.drop_table("properties")
    op.drop_index("ix_listing_prices_listing_id_since", table_name="listing_prices")
    op.drop_table("listing_prices")
    op.drop_index("ix_listing_decisions_listing_id_id", table_name="listing_decisions")
    op.drop_table("listing_decisions")
    op.drop_index("ix_favourites_user_id_created_at", table_name="favourites")
    op.drop_index("ix_favourites_listing_id", table_name="favourites")
    op.drop_table("favourites")
    op.drop_index("uq_listings_owner_id_external_id", table_name="listings")
    op.drop_index("ix_listings_subdivision", table_name="listings")
    op.drop_index("ix_listings_status_expires_at", table_name="listings")
    op.drop_index(
        "ix_listings_sphere", table_name="listings", postgresql_using="gist", postgresql_where=sa.text("is_public")
    )
    op.drop_index(
        "ix_listings_search", table_name="listings", postgresql_using="gin", postgresql_where=sa.text("is_public")
    )
    op.drop_index("ix_listings_region", table_name="listings")
    op.drop_index("ix_listings_price_mixed", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_listings_price", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_listings_owner_id_id", table_name="listings")
    op.drop_index("ix_listings_newest_mixed", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_listings_newest", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_listings_latitude", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index(
        "ix_listings_features", table_name="listings", postgresql_using="gin", postgresql_where=sa.text("is_public")
    )
    op.drop_index("ix_listings_city_key", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_listings_city_id", table_name="listings", postgresql_where=sa.text("is_public"))
    op.drop_table("listings")
    op.drop_table("city_names")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_outbox_next_attempt_at_event_id", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("credentials")
    op.drop_index("ix_cities_country_population", table_name="cities")
    op.drop_table("cities")
    op.drop_table("users")
    op.drop_index(op.f("ix_revocations_not_before"), table_name="revocations")
    op.drop_table("revocations")
    op.drop_table("handled_events")
    op.drop_index(op.f("ix_events_occurred_at"), table_name="events")
    op.drop_table("events")
    op.drop_table("datasets")
    op.drop_table("countries")
    op.drop_index("ix_audit_log_subject_id_occurred_at", table_name="audit_log")
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION refuse_change()")
    op.execute("DROP EXTENSION IF EXISTS cube")
