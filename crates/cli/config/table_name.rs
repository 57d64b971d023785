//! A table's name with its namespace.

use std::fmt;

use serde::Deserialize;

/// `shop.orders`, `company.shop.orders`: everything before the last dot is the namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TableName {
    /// From the outermost in; not empty.
    pub namespace: Vec<String>,
    pub name: String,
}

/// What the tables beside a table are called; nobody else's table may be.
const RESERVED: [&str; 2] = ["__dead_letters", "__ledger"];

impl TryFrom<String> for TableName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let name = parts.pop().unwrap_or_default();
        if parts.is_empty() || name.is_empty() || parts.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` is not a table; write its namespace and name such as \"shop.orders\""
            ));
        }
        if let Some(reserved) = RESERVED.iter().find(|suffix| name.ends_with(**suffix)) {
            return Err(format!(
                "`{text}` is the name of a table that tabletopic keeps beside another one; write one that does not \
                 end in {reserved}"
            ));
        }
        Ok(Self {
            namespace: parts,
            name,
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace.join("."), self.name)
    }
}
