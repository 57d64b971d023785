//! A table's name with its namespace.

use std::fmt;

use serde::Deserialize;

use super::reference::TOPIC;

/// `shop.orders`, `company.shop.orders`: everything before the last dot is the namespace. `${topic}` may stand in it, in
/// the place of a topic's name.
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

impl TableName {
    /// Whether `${topic}` stands in it, so that each topic has its own.
    pub fn is_of_its_topic(&self) -> bool {
        self.to_string().contains(TOPIC)
    }

    /// The table of a topic. Its dots become underscores: one in a table's name would begin a namespace.
    ///
    /// # Errors
    /// A name that no table of ours can have.
    pub fn of_topic(&self, topic: &str) -> Result<Self, String> {
        Self::try_from(self.to_string().replace(TOPIC, &topic.replace('.', "_")))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace.join("."), self.name)
    }
}
