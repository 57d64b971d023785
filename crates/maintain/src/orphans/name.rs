//! Which spellings of a location are one file.
//!
//! Other writers spell a file as they like: another scheme, another host, slashes too many, percent-escapes. So only the
//! path counts here, with all escapes read until none is left: two files may get one name by that, never one file two.
//! The worst that comes of it is that garbage stays.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use percent_encoding::percent_decode_str;

/// The path of an absolute location, without slashes around it; `None` for a relative one.
pub(super) fn path(location: &str) -> Option<String> {
    let raw = if location.starts_with('/') {
        location
    } else if let Some((_, rest)) = location.split_once("://") {
        rest.find('/').map_or("", |authority| &rest[authority..])
    } else {
        let (_, rest) = location.split_once(':')?;
        rest.starts_with('/').then_some(rest)?
    };
    Some(plain(raw))
}

/// The bucket, container or host of a location and its [`path`], for comparing folders: other buckets are other places.
pub(super) fn place(location: &str) -> Option<String> {
    let path = path(location)?;
    let rest = location.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.replacen(".blob.core.", ".dfs.core.", 1);
    Some(format!("{authority}/{path}"))
}

/// Whether a folder is another one or lies in it, both as [`place`] has them.
pub(super) fn lies_in(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with('/'))
}

fn plain(raw: &str) -> String {
    let mut text = raw.to_owned();
    while text.contains('%') {
        let read = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if read == text {
            break;
        }
        text = read;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// Files that are needed. Each takes some ten bytes, since only hashes are kept; two with one hash would be one more
/// piece of garbage that stays.
#[derive(Debug)]
pub(super) struct Names {
    /// Of the folder that is listed.
    folder: String,
    paths: HashSet<u64>,
    /// The last names of files that lie elsewhere. It may be the same place by another name, such as a link.
    elsewhere: HashSet<u64>,
}

impl Names {
    /// For files below `folder`; `None` if that is no absolute location.
    pub(super) fn below(folder: &str) -> Option<Self> {
        Some(Self {
            folder: path(folder)?,
            paths: HashSet::new(),
            elsewhere: HashSet::new(),
        })
    }

    /// `false` if `location` is not absolute, so that nobody knows what it names.
    #[must_use]
    pub(super) fn insert(&mut self, location: &str) -> bool {
        let Some(path) = path(location) else {
            return false;
        };
        if !lies_in(&path, &self.folder) {
            self.elsewhere.insert(hash(last(&path)));
        }
        self.paths.insert(hash(&path));
        true
    }

    /// Whether some spelling of it was inserted.
    pub(super) fn has(&self, location: &str) -> bool {
        path(location).is_none_or(|path| {
            self.paths.contains(&hash(&path)) || self.elsewhere.contains(&hash(last(&path)))
        })
    }

    /// Whether it is somebody's who hides it from tables, as Hadoop, Spark and Flink do: a name in it begins with `_` or
    /// `.`, and is no partition's. Or it tells file system catalogs the version of their table.
    pub(super) fn hides(&self, location: &str) -> bool {
        let Some(path) = path(location) else {
            return true;
        };
        let Some(below) = path.strip_prefix(&self.folder) else {
            return true;
        };
        let hidden = |name: &str| name.starts_with(['_', '.']) && !name.contains('=');
        below.split('/').any(hidden) || last(below) == "version-hint.text"
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_path_however_it_is_spelled() {
        for location in [
            "/lake/t/a b",
            "file:/lake/t/a b",
            "file:///lake/t/a%20b",
            "file://localhost/lake//t/./a%2520b",
            "hdfs://name:8020/lake/t/x/../a b",
            "s3a://bucket/lake/t/a b/",
            "S3://bucket/lake/t%2Fa%20b",
        ] {
            assert_eq!(path(location).as_deref(), Some("lake/t/a b"), "{location}");
        }
        assert_eq!(path("s3://bucket").as_deref(), Some(""));
        for relative in ["t/a", "a", "", "s3:t/a"] {
            assert_eq!(path(relative), None, "{relative}");
        }
        assert_eq!(path("/100%/%zz").as_deref(), Some("100%/%zz"));
    }

    #[test]
    fn folders_of_other_buckets_are_elsewhere() {
        let lies = |inner: &str, outer: &str| lies_in(&place(inner).unwrap(), &place(outer).unwrap());
        assert!(lies("s3://b/lake/t", "s3a://b/lake/t/"));
        assert!(lies("s3://b/lake/t/data", "s3://b/lake/t"));
        assert!(lies("s3://b/lake", "s3://b"));
        assert!(lies("file:///lake/t/x", "/lake/t"));
        assert!(lies(
            "wasbs://c@a.blob.core.windows.net/t",
            "abfss://c@a.dfs.core.windows.net/t"
        ));
        assert!(!lies("s3://b/lake/t2", "s3://b/lake/t"));
        assert!(!lies("s3://b/lake", "s3://b/lake/t"));
        assert!(!lies("s3://other/lake/t", "s3://b/lake/t"));
    }

    #[test]
    fn a_name_that_lies_elsewhere_may_be_this_file() {
        let mut names = Names::below("/link/t").unwrap();
        assert!(names.insert("/disk/t/data/x.parquet"));
        assert!(names.has("file:///link/t/data/x.parquet"));
        assert!(!names.has("file:///link/t/data/y.parquet"));
        assert!(!names.insert("data/y.parquet"));
    }

    #[test]
    fn what_others_hide_is_not_a_tables() {
        let names = Names::below("s3://b/_lake/t").unwrap();
        for hidden in [
            "data/_SUCCESS",
            ".x.crc",
            "_checkpoint/0/a",
            "metadata/version-hint.text",
        ] {
            assert!(names.hides(&format!("s3://b/_lake/t/{hidden}")), "{hidden}");
        }
        for own in [
            "data/_kafka_timestamp_day=2026-01-01/x",
            "metadata/x.avro",
            "data/a_b",
        ] {
            assert!(!names.hides(&format!("s3://b/_lake/t/{own}")), "{own}");
        }
        assert!(names.hides("s3://b/elsewhere/x"));
    }
}
