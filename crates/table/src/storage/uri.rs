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

    /// The location of a file, as it is spelled here.
    pub(super) fn location(&self, path: &Path) -> String {
        format!("{}{path}", self.uri)
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

/// The root of the store that holds `location`: `file:///`, `s3://bucket`, or as it is in other stores.
pub(super) fn root(location: &str) -> Option<String> {
    let canonical = canonical(location);
    if canonical.starts_with("file:///") {
        return Some("file:///".to_owned());
    }
    let (scheme, rest) = canonical.split_once("://")?;
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
    Some(format!("{scheme}://{authority}"))
}

/// One file has one spelling here, though clients have several: `file:///a`, `file:/a` and `/a`, and `/a//b` for `/a/b`
/// in a file system; `s3a` and `s3n` for `s3`; `abfs` for `abfss`, and `wasbs` with the other service's host. The rest
/// of other stores' locations is kept as it is.
pub(crate) fn canonical(location: &str) -> String {
    match location.split_once("://") {
        Some(("s3a" | "s3n", rest)) => return format!("s3://{rest}"),
        Some(("abfs" | "wasb" | "wasbs", rest)) => {
            return format!("abfss://{}", rest.replacen(".blob.core.", ".dfs.core.", 1));
        }
        _ => {}
    }
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
        let path = Path::parse("a b/c%2Fd.json").unwrap();
        assert_eq!(
            BaseUri::new("/lake").location(&path),
            "file:///lake/a b/c%2Fd.json"
        );
    }

    #[test]
    fn other_stores_have_their_root() {
        assert_eq!(path("memory:///", "memory:///warehouse/t/x"), "warehouse/t/x");
        assert_eq!(path("s3://bucket", "s3://bucket/t/x"), "t/x");
        assert_eq!(path("s3://bucket/prefix/", "s3://bucket/prefix/t/x"), "t/x");
    }

    #[test]
    fn an_object_has_one_path_whoever_names_it() {
        for location in ["s3://bucket/t/x", "s3a://bucket/t/x", "s3n://bucket/t/x"] {
            assert_eq!(path("s3://bucket", location), "t/x");
        }
        let base = "abfss://c@a.dfs.core.windows.net";
        for location in [
            "abfss://c@a.dfs.core.windows.net/t/x",
            "abfs://c@a.dfs.core.windows.net/t/x",
            "wasbs://c@a.blob.core.windows.net/t/x",
        ] {
            assert_eq!(path(base, location), "t/x");
        }
    }

    #[test]
    fn a_store_has_one_root() {
        for (location, expected) in [
            ("/lake/t/x", Some("file:///")),
            ("file:/lake/t/x", Some("file:///")),
            ("s3a://bucket/t/x", Some("s3://bucket")),
            ("gs://bucket", Some("gs://bucket")),
            (
                "wasbs://c@a.blob.core.windows.net/t",
                Some("abfss://c@a.dfs.core.windows.net"),
            ),
            ("s3:///t/x", None),
            ("t/x", None),
        ] {
            assert_eq!(root(location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        let refused = [
            ("file:///", "s3://bucket/x"),
            ("file:///lake", "file:///lakeside/x"),
            ("s3://bucket", "s3://bucket2/x"),
            ("s3://bucket", "gs://bucket/x"),
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
