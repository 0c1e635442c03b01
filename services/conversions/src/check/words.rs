//! Meta's words of events, and the keys that have a field.

pub(super) const WEBSITE: &str = "website";
pub(super) const APP: &str = "app";
pub(super) const PHYSICAL_STORE: &str = "physical_store";
pub(super) const BUSINESS_MESSAGING: &str = "business_messaging";
pub(super) const PURCHASE: &str = "Purchase";

pub(super) const ACTION_SOURCES: &[&str] =
    &[WEBSITE, APP, PHYSICAL_STORE, "phone_call", "chat", "email", "system_generated", BUSINESS_MESSAGING, "other"];

pub(super) const MESSAGING_CHANNELS: &[&str] = &["whatsapp", "messenger", "instagram"];

pub(super) const DELIVERY_CATEGORIES: &[&str] = &["", "in_store", "curbside", "home_delivery"];

/// The members of an event that have a field, so that `extra` cannot hold them.
pub(super) const EVENT_MEMBERS: &[&str] = &[
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "user_data",
    "custom_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "referrer_url",
    "messaging_channel",
];

/// The same for custom data.
pub(super) const CUSTOM_MEMBERS: &[&str] = &[
    "value",
    "currency",
    "content_name",
    "content_category",
    "content_ids",
    "contents",
    "content_type",
    "order_id",
    "predicted_ltv",
    "num_items",
    "status",
    "search_string",
    "delivery_category",
];
