//! Which columns of the two tables are compared, and what differs between their schemas: pure.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{NestedField, NestedFieldRef, Schema};
use serde::Serialize;

use super::CompareError;
use super::types::fields;

/// Kafka's columns that tell one record from all others. The topic is one of them where both tables have it.
const TOPIC: &str = "_kafka_topic";
pub const PLACE: [&str; 2] = ["_kafka_partition", "_kafka_offset"];

/// Which columns somebody wants compared, by the names that A has for them.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// What tells one row from all others; none: Kafka's topic, partition and offset, where both tables have these.
    pub key: Vec<String>,
    /// B's name of a column, and A's.
    pub renamed: Vec<(String, String)>,
    /// Only these and the key; none: all.
    pub only: Vec<String>,
    pub ignored: Vec<String>,
}

/// Something that differs between the schemas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    OnlyInA {
        column: String,
        #[serde(rename = "type")]
        field_type: String,
    },
    OnlyInB {
        column: String,
        #[serde(rename = "type")]
        field_type: String,
    },
    /// Of types that have no values in common.
    Incomparable {
        column: String,
        a: String,
        b: String,
    },
    /// Of types that are compared as a third one, which holds the values of both.
    Type {
        column: String,
        a: String,
        b: String,
        compared_as: String,
    },
    FieldId {
        column: String,
        a: i32,
        b: i32,
    },
}

impl Difference {
    /// Whether the tables do not hold the same because of it: values that are not compared may be anything.
    pub fn decides(&self) -> bool {
        match self {
            Self::OnlyInA { .. } | Self::OnlyInB { .. } | Self::Incomparable { .. } => true,
            Self::Type { .. } | Self::FieldId { .. } => false,
        }
    }

    /// The column, with its path where it is inside of another.
    pub fn column(&self) -> &str {
        match self {
            Self::OnlyInA { column, .. }
            | Self::OnlyInB { column, .. }
            | Self::Incomparable { column, .. }
            | Self::Type { column, .. }
            | Self::FieldId { column, .. } => column,
        }
    }
}

/// How the columns of two tables go together.
#[derive(Debug)]
pub struct Matching {
    /// What is compared: those of the key, then the others, each with A's name and field id.
    pub schema: Schema,
    /// How many of the first columns are the key. 0: a row is known by all of its values.
    pub key: usize,
    /// Whether the key is Kafka's own.
    pub is_kafka: bool,
    /// Field ids of the same columns in A and in B.
    pub ids: [Vec<i32>; 2],
    pub differences: Vec<Difference>,
}

impl Matching {
    /// # Errors
    /// Names that no column has; columns that cannot be a key; tables that have no column in common.
    pub fn of(a: &Schema, b: &Schema, asked: &Columns) -> Result<Self, CompareError> {
        let theirs = renamed(b, &asked.renamed)?;
        let ours = a.as_struct().fields();
        let known = |name: &str| ours.iter().chain(&theirs).any(|field| field.name == *name);
        for name in asked.only.iter().chain(&asked.ignored).chain(&asked.key) {
            if !known(name) {
                return Err(no_column(name, ours, &theirs));
            }
        }
        let mut seen = HashSet::new();
        if let Some(twice) = asked.key.iter().find(|name| !seen.insert(*name)) {
            return Err(CompareError::Asked(format!(
                "column `{twice}` is named twice in the key; name it once"
            )));
        }
        let is_kafka = asked.key.is_empty()
            && PLACE.iter().all(|name| {
                let has = |fields: &[NestedFieldRef]| fields.iter().any(|field| field.name == *name);
                has(ours) && has(&theirs) && !asked.ignored.iter().any(|ignored| ignored == name)
            });
        let mut key: Vec<String> = asked.key.clone();
        if is_kafka {
            let in_both = ours.iter().any(|field| field.name == TOPIC)
                && theirs.iter().any(|field| field.name == TOPIC)
                && !asked.ignored.iter().any(|ignored| ignored == TOPIC);
            key.extend(in_both.then(|| TOPIC.to_owned()));
            key.extend(PLACE.map(str::to_owned));
        }
        if let Some(name) = key.iter().find(|name| asked.ignored.contains(name)) {
            return Err(CompareError::Asked(format!(
                "column `{name}` is a part of the key, and can't be ignored"
            )));
        }
        let only: HashSet<&String> = asked.only.iter().chain(&key).collect();
        let wanted = |field: &NestedFieldRef| {
            (asked.only.is_empty() || only.contains(&field.name)) && !asked.ignored.contains(&field.name)
        };
        let mut differences = Vec::new();
        let [ours, theirs]: [Vec<NestedFieldRef>; 2] = [ours, theirs.as_slice()]
            .map(|fields| fields.iter().filter(|field| wanted(field)).cloned().collect());
        let mut both = fields(&ours, &theirs, "", &mut differences);
        if let Some(name) = key
            .iter()
            .find(|name| !both.iter().any(|field| field.name == **name))
        {
            return Err(CompareError::Asked(format!(
                "column `{name}` can't be a part of the key: it has to be in both tables, with types that can be \
                 compared; --rename says how B calls it"
            )));
        }
        if both.is_empty() {
            return Err(CompareError::Asked(
                "the tables have no column in common; --rename says how B calls A's".to_owned(),
            ));
        }
        both.sort_by_key(|field| {
            key.iter()
                .position(|name| *name == field.name)
                .unwrap_or(usize::MAX)
        });
        let ids = [&ours, &theirs].map(|fields| {
            let id = |name: &str| {
                fields
                    .iter()
                    .find(|field| field.name == *name)
                    .map(|field| field.id)
            };
            both.iter().filter_map(|field| id(&field.name)).collect()
        });
        Ok(Self {
            schema: Schema::builder().with_fields(both).build()?,
            key: key.len(),
            is_kafka,
            ids,
            differences,
        })
    }

    /// The names of all columns that are compared, the key first.
    pub fn names(&self) -> Vec<String> {
        let fields = self.schema.as_struct().fields().iter();
        fields.map(|field| field.name.clone()).collect()
    }
}

/// B's columns, under A's names.
fn renamed(b: &Schema, names: &[(String, String)]) -> Result<Vec<NestedFieldRef>, CompareError> {
    let mut fields = b.as_struct().fields().to_vec();
    for (theirs, ours) in names {
        let Some(at) = b
            .as_struct()
            .fields()
            .iter()
            .position(|field| field.name == *theirs)
        else {
            return Err(CompareError::Asked(format!(
                "B has no column `{theirs}` to be compared as `{ours}`"
            )));
        };
        fields[at] = Arc::new(NestedField {
            name: ours.clone(),
            ..fields[at].as_ref().clone()
        });
    }
    let mut seen = HashSet::new();
    match fields.iter().find(|field| !seen.insert(&field.name)) {
        None => Ok(fields),
        Some(twice) => Err(CompareError::Asked(format!(
            "B would have two columns `{}`; rename the other one, too",
            twice.name
        ))),
    }
}

fn no_column(name: &str, ours: &[NestedFieldRef], theirs: &[NestedFieldRef]) -> CompareError {
    let mut names: Vec<&str> = ours
        .iter()
        .chain(theirs)
        .map(|field| field.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    CompareError::Asked(format!(
        "neither table has a column `{name}`; they have {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{PrimitiveType, Type};

    use super::*;

    fn schema(columns: &[(i32, &str, PrimitiveType)]) -> Schema {
        let fields = columns
            .iter()
            .map(|(id, name, ty)| Arc::new(NestedField::optional(*id, *name, Type::Primitive(ty.clone()))));
        Schema::builder()
            .with_fields(fields.collect::<Vec<_>>())
            .build()
            .unwrap()
    }

    fn kafka(first: i32, names: [&str; 3]) -> Schema {
        schema(&[
            (first, names[2], PrimitiveType::Double),
            (first + 1, names[0], PrimitiveType::Int),
            (first + 2, names[1], PrimitiveType::Long),
        ])
    }

    #[test]
    fn the_key_is_kafkas_where_both_have_it() {
        let a = kafka(1, ["_kafka_partition", "_kafka_offset", "price"]);
        let matching = Matching::of(&a, &a, &Columns::default()).unwrap();
        assert_eq!(matching.names(), ["_kafka_partition", "_kafka_offset", "price"]);
        assert_eq!((matching.key, matching.is_kafka), (2, true));
        assert_eq!(matching.differences, []);

        let b = kafka(11, ["part", "off", "price"]);
        let matching = Matching::of(&a, &b, &Columns::default()).unwrap();
        assert_eq!((matching.key, matching.names()), (0, vec!["price".to_owned()]));
        assert!(matching.differences.iter().any(Difference::decides));

        let asked = Columns {
            renamed: [("part", "_kafka_partition"), ("off", "_kafka_offset")]
                .map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned()))
                .to_vec(),
            ..Columns::default()
        };
        let matching = Matching::of(&a, &b, &asked).unwrap();
        assert_eq!((matching.key, matching.is_kafka), (2, true));
        assert_eq!(matching.ids, [vec![2, 3, 1], vec![12, 13, 11]]);
        assert!(!matching.differences.iter().any(Difference::decides));
    }

    #[test]
    fn columns_are_left_out_and_the_key_stays() {
        let a = kafka(1, ["_kafka_partition", "_kafka_offset", "price"]);
        let b = schema(&[
            (1, "_kafka_partition", PrimitiveType::Int),
            (2, "_kafka_offset", PrimitiveType::Long),
        ]);
        let ignoring = Columns {
            ignored: vec!["price".to_owned()],
            ..Columns::default()
        };
        assert_eq!(
            Matching::of(&a, &b, &ignoring)
                .unwrap()
                .differences
                .iter()
                .filter(|d| d.decides())
                .count(),
            0
        );
        let only = Columns {
            only: vec!["price".to_owned()],
            ..Columns::default()
        };
        assert_eq!(Matching::of(&a, &a, &only).unwrap().key, 2);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let a = kafka(1, ["_kafka_partition", "_kafka_offset", "price"]);
        let list = |name: &str| vec![name.to_owned()];
        let refused = |asked: Columns| Matching::of(&a, &a, &asked).unwrap_err().to_string();
        let said = refused(Columns {
            key: list("id"),
            ..Columns::default()
        });
        assert!(
            said.contains("`id`; they have _kafka_offset, _kafka_partition, price"),
            "{said}"
        );
        let said = refused(Columns {
            key: list("price"),
            ignored: list("price"),
            ..Columns::default()
        });
        assert!(said.contains("can't be ignored"), "{said}");
        let said = refused(Columns {
            key: ["price", "price"].map(str::to_owned).to_vec(),
            ..Columns::default()
        });
        assert!(said.contains("`price` is named twice in the key"), "{said}");
        let twice = vec![("price".to_owned(), "_kafka_offset".to_owned())];
        let said = refused(Columns {
            renamed: twice,
            ..Columns::default()
        });
        assert!(said.contains("two columns `_kafka_offset`"), "{said}");
    }
}
