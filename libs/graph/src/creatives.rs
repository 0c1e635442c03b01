//! Creatives at Meta: the fields we read. Meta keeps no times of them, and may answer a create with an older one of
//! the same content.

/// The message that mirrors a creative.
pub const MESSAGE: &str = "adplane.campaigns.v1.Creative";

/// The fields of that message, in Meta's words.
pub const FIELDS: &[&str] = &[
    "id",
    "name",
    "status",
    "object_story_spec",
    "object_story_id",
    "source_instagram_media_id",
    "instagram_user_id",
    "url_tags",
    "product_set_id",
    "object_type",
    "effective_object_story_id",
    "thumbnail_url",
];
