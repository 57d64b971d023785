//! How namespaces and tables are named in the paths of requests.

use iceberg::{NamespaceIdent, TableIdent};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Every character but those that stand for themselves in any URL (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Between the levels of a namespace: an ASCII unit separator, encoded.
const SEPARATOR: &str = "%1F";

/// Paths below the catalog's URI.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// `v1/`, with the prefix that the server has its tables under.
    root: String,
    separator: String,
}

impl Paths {
    /// Both as the server says them: encoded already.
    pub(super) fn new(prefix: Option<&str>, separator: Option<&str>) -> Self {
        let prefix = prefix
            .map(|prefix| prefix.trim_matches('/'))
            .filter(|prefix| !prefix.is_empty());
        Self {
            root: prefix.map_or_else(|| "v1/".to_owned(), |prefix| format!("v1/{prefix}/")),
            separator: separator.unwrap_or(SEPARATOR).to_owned(),
        }
    }

    pub(super) fn namespaces(&self) -> String {
        format!("{}namespaces", self.root)
    }

    /// # Errors
    /// A name that would lead to another path.
    pub(super) fn namespace(&self, namespace: &NamespaceIdent) -> Result<String, String> {
        Ok(format!("{}namespaces/{}", self.root, self.levels(namespace)?))
    }

    /// # Errors
    /// As [`namespace`](Self::namespace).
    pub(super) fn tables(&self, namespace: &NamespaceIdent) -> Result<String, String> {
        Ok(format!("{}/tables", self.namespace(namespace)?))
    }

    /// # Errors
    /// As [`namespace`](Self::namespace).
    pub(super) fn table(&self, table: &TableIdent) -> Result<String, String> {
        let tables = self.tables(&table.namespace)?;
        Ok(format!("{tables}/{}", encoded(&table.name)?))
    }

    /// A namespace as the value of a parameter.
    ///
    /// # Errors
    /// As [`namespace`](Self::namespace).
    pub(super) fn levels(&self, namespace: &NamespaceIdent) -> Result<String, String> {
        let levels: Result<Vec<String>, String> = namespace.iter().map(|level| encoded(level)).collect();
        Ok(levels?.join(&self.separator))
    }
}

/// A value of a parameter.
pub(super) fn value(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `.` and `..` are no names in a URL, however they are written: another path would be asked for.
fn encoded(name: &str) -> Result<String, String> {
    match name {
        "" | "." | ".." => Err(format!("{name:?} cannot be in a URL; choose another name")),
        name => Ok(value(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_the_prefix_is_not() {
        let table = TableIdent::from_strs(["a b", "c/d", "é+%.t"]).unwrap();
        let path = |prefix, separator| Paths::new(prefix, separator).table(&table).unwrap();
        assert_eq!(
            path(None, None),
            "v1/namespaces/a%20b%1Fc%2Fd/tables/%C3%A9%2B%25.t"
        );
        let arn = path(Some("arn%3Aaws/x/"), Some("%2E"));
        assert_eq!(
            arn,
            "v1/arn%3Aaws/x/namespaces/a%20b%2Ec%2Fd/tables/%C3%A9%2B%25.t"
        );
        for name in ["", ".", ".."] {
            let odd = TableIdent::new(table.namespace.clone(), name.to_owned());
            assert!(Paths::new(None, None).table(&odd).is_err());
        }
    }
}
