//! From a file's location, as table metadata has it, to its path in the store: the one place that does so.

use object_store::path::Path;

/// The URI of a store's root.
#[derive(Debug, Clone)]
pub(super) struct BaseUri {
    /// With the slash at its end.
    uri: String,
}

impl BaseUri {
    pub(super) fn new(uri: &str) -> Self {
        let uri = canonical(uri);
        Self {
            uri: if uri.ends_with('/') {
                uri
            } else {
                format!("{uri}/")
            },
        }
    }

    /// The path of `location` below this base. Nothing is percent-decoded: in table metadata a `%` in a
    /// location is part of the file's name.
    pub(super) fn path(&self, location: &str) -> iceberg::Result<Path> {
        let refused = |reason: String| {
            iceberg::Error::new(
                iceberg::ErrorKind::DataInvalid,
                format!("location {location:?} {reason}"),
            )
        };
        let canonical = canonical(location);
        let Some(below) = canonical.strip_prefix(&self.uri) else {
            return Err(refused(format!(
                "is not in the store at {}; configure the store that holds it",
                self.uri
            )));
        };
        // `Path` would drop this slash, and name another object.
        if below.starts_with('/') {
            return Err(refused("has an empty name in it".to_owned()));
        }
        Path::parse(below).map_err(|error| refused(format!("is not a path: {error}")))
    }
}

/// `file:///a`, `file:/a` and `/a` are one file, written by different clients; so are `/a//b` and `/a/b` in a
/// file system. Other stores' locations are kept as they are.
fn canonical(location: &str) -> String {
    let path = location.strip_prefix("file:").unwrap_or(location);
    let names_a_host = path.starts_with("//") && !path.starts_with("///");
    if !path.starts_with('/') || (names_a_host && path != location) {
        return location.to_owned();
    }
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    format!("file:///{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(base: &str, location: &str) -> String {
        BaseUri::new(base).path(location).unwrap().to_string()
    }

    #[test]
    fn a_local_file_has_one_path_however_it_is_written() {
        for location in [
            "file:///lake/a b/c%2Fd.json",
            "file:/lake/a b/c%2Fd.json",
            "/lake//a b/c%2Fd.json",
        ] {
            assert_eq!(path("file:///", location), "lake/a b/c%2Fd.json");
            assert_eq!(path("file:///lake/", location), "a b/c%2Fd.json");
        }
    }

    #[test]
    fn other_stores_have_their_root() {
        assert_eq!(path("memory:///", "memory:///warehouse/t/x"), "warehouse/t/x");
        assert_eq!(path("s3://bucket", "s3://bucket/t/x"), "t/x");
        assert_eq!(path("s3://bucket/prefix/", "s3://bucket/prefix/t/x"), "t/x");
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        let refused = [
            ("file:///", "s3://bucket/x"),
            ("file:///lake", "file:///lakeside/x"),
            ("s3://bucket", "s3://bucket2/x"),
            ("s3://bucket", "s3://bucket//x"),
            ("memory:///", "/x"),
            ("file:///lake", "file:///lake/../etc/passwd"),
            ("file:///", "file://host/share/x"),
            ("file:///", "relative/x"),
        ];
        for (base, location) in refused {
            let error = BaseUri::new(base).path(location).unwrap_err();
            assert_eq!(error.kind(), iceberg::ErrorKind::DataInvalid);
            assert!(error.to_string().contains(location), "{error}");
        }
    }
}
