//! Names of namespaces and tables as clients write them, and what they may be.

use iceberg::{NamespaceIdent, TableIdent};
use serde::{Deserialize, Serialize};

use super::error::Refusal;

/// Between the levels of a namespace in a path or a query (the specification's default, an ASCII unit separator).
const SEPARATOR: char = '\u{1f}';

/// What the columns of an SQL catalog hold.
const LONGEST: usize = 255;
const DEEPEST: usize = 32;

/// A table as JSON bodies name it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identifier {
    pub namespace: Vec<String>,
    pub name: String,
}

impl Identifier {
    pub fn table(self) -> Result<TableIdent, Refusal> {
        Ok(TableIdent::new(namespace(self.namespace)?, name(self.name)?))
    }
}

impl From<TableIdent> for Identifier {
    fn from(table: TableIdent) -> Self {
        Self {
            namespace: table.namespace.inner(),
            name: table.name,
        }
    }
}

/// A namespace in a path or a query.
pub fn joined(text: &str) -> Result<NamespaceIdent, Refusal> {
    namespace(text.split(SEPARATOR).map(str::to_owned).collect())
}

/// A namespace in a body.
pub fn namespace(levels: Vec<String>) -> Result<NamespaceIdent, Refusal> {
    let length: usize = levels.iter().map(|level| level.chars().count() + 1).sum();
    if levels.len() > DEEPEST || length > LONGEST + 1 {
        return Err(Refusal::bad_request(format!(
            "a namespace has at most {DEEPEST} levels and {LONGEST} characters"
        )));
    }
    if let Some(level) = levels.iter().find(|level| level.is_empty() || has_control(level)) {
        return Err(Refusal::bad_request(format!(
            "{level:?} cannot be a level of a namespace: it is empty, or has control characters in it"
        )));
    }
    NamespaceIdent::from_vec(levels).map_err(|_| Refusal::bad_request("a namespace has at least one level"))
}

/// The name of a table.
pub fn name(name: String) -> Result<String, Refusal> {
    if name.is_empty() || has_control(&name) || name.chars().count() > LONGEST {
        return Err(Refusal::bad_request(format!(
            "a table's name has from 1 to {LONGEST} characters, none of them a control character"
        )));
    }
    Ok(name)
}

fn has_control(text: &str) -> bool {
    text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_separated_by_the_unit_separator() {
        assert_eq!(*joined("a\u{1f}b c").unwrap(), ["a", "b c"]);
        assert_eq!(*joined("a/b").unwrap(), ["a/b"]);
    }

    #[test]
    fn what_could_not_be_stored_or_read_back_is_refused() {
        for wrong in ["", "a\u{1f}", "\u{1f}a", "a\nb"] {
            assert!(joined(wrong).is_err(), "{wrong:?}");
        }
        assert!(namespace(Vec::new()).is_err());
        assert!(namespace(vec!["a".to_owned(); 33]).is_err());
        assert!(namespace(vec!["a".repeat(255)]).is_ok());
        assert!(namespace(vec!["a".repeat(256)]).is_err());
        assert!(name("ö".repeat(255)).is_ok());
        for wrong in [String::new(), "a".repeat(256), "a\u{1f}b".to_owned()] {
            assert!(name(wrong.clone()).is_err(), "{wrong:?}");
        }
    }
}
