//! Where tables may be. Whoever may create tables could otherwise have this process write, and purge, any file that it
//! can reach.

use iceberg::TableUpdate;
use iceberg::spec::TableMetadata;

use super::error::Refusal;

/// URIs below which tables may be.
#[derive(Debug, Clone)]
pub struct Places(Vec<String>);

impl Places {
    /// `places` are absolute URIs, the warehouse's among them.
    pub fn new(places: impl IntoIterator<Item = String>) -> Self {
        let below = |place: String| format!("{}/", canonical(&place).trim_end_matches('/'));
        Self(places.into_iter().map(below).collect())
    }

    /// Whether a file or folder is in one of the places.
    pub fn hold(&self, location: &str) -> bool {
        let location = canonical(location);
        let leads_out = location.split('/').any(|name| matches!(name, "." | ".."));
        !leads_out && self.0.iter().any(|place| location.starts_with(place))
    }

    /// Refuses what is in none of the places.
    pub fn check(&self, location: &str) -> Result<(), Refusal> {
        match self.hold(location) {
            true => Ok(()),
            false => Err(Refusal::bad_request(format!(
                "Location {location} is outside of the catalog's warehouse; leave the location to the catalog, or add it to \
                 `locations` of [catalog.serve] in its configuration"
            ))),
        }
    }

    pub fn check_updates(&self, updates: &[TableUpdate]) -> Result<(), Refusal> {
        updates.iter().try_for_each(|update| match update {
            TableUpdate::SetLocation { location } => self.check(location),
            _ => Ok(()),
        })
    }

    /// The files that this process writes and deletes for a table.
    pub fn check_table(&self, metadata: &TableMetadata) -> Result<(), Refusal> {
        self.check(metadata.location())?;
        let mut log = metadata.metadata_log().iter();
        log.try_for_each(|entry| self.check(&entry.metadata_file))
    }
}

/// `file:///a`, `file:/a` and `/a` are one file, written by different clients; so are `/a//b` and `/a/b`.
fn canonical(location: &str) -> String {
    let path = location.strip_prefix("file:").unwrap_or(location);
    if !path.starts_with('/') {
        return location.to_owned();
    }
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    format!("file:///{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_a_place_is_held() {
        let places = Places::new([
            "file:///lake/warehouse".to_owned(),
            "s3://bucket/lake/".to_owned(),
        ]);
        for inside in [
            "file:///lake/warehouse/shop/orders",
            "file:/lake/warehouse/shop",
            "/lake//warehouse/t",
            "s3://bucket/lake/t",
        ] {
            assert!(places.hold(inside), "{inside}");
        }
        for outside in [
            "file:///lake/warehouse",
            "file:///lake/warehouse2/t",
            "file:///lake/warehouse/../secret",
            "file:///etc/passwd",
            "s3://bucket/lakes/t",
            "s3://other/lake/t",
            "relative/t",
            "",
        ] {
            assert!(!places.hold(outside), "{outside}");
            assert_eq!(places.check(outside).unwrap_err().status.as_u16(), 400);
        }
    }
}
