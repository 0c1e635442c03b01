//! The schema, forward only.

/// The migrations in order, each with its name.
pub fn migrations() -> Vec<(&'static str, &'static str)> {
    vec![
        ("V1__operations", storage::operations::SQL),
        ("V2__requests", storage::requests::SQL),
        ("V3__audit", storage::audit::SQL),
        ("V4__mirror", include_str!("migrations/V4__mirror.sql")),
        ("V5__plans", include_str!("migrations/V5__plans.sql")),
        ("V6__intents", include_str!("migrations/V6__intents.sql")),
        ("V7__uploads", include_str!("migrations/V7__uploads.sql")),
    ]
}
