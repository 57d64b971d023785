//! Numbers and switches among a table's properties. They are anybody's to set, so that one which cannot be read
//! stops nothing: its default holds, and the log says so.

use std::fmt::Display;
use std::str::FromStr;

use iceberg::spec::TableMetadata;

/// The value of `key`, or `default` where the table has none.
pub(crate) fn property<T: FromStr + Display>(metadata: &TableMetadata, key: &str, default: T) -> T {
    let Some(text) = metadata.properties().get(key) else {
        return default;
    };
    text.trim().to_lowercase().parse().unwrap_or_else(|_| {
        let location = metadata.location();
        tracing::warn!(
            table = location,
            "table property {key} = {text:?} is not understood; {default} holds"
        );
        default
    })
}
