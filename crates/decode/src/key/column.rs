//! A table in two: the key's column, as a table of its own, and all others.

use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, Schema, Type};

use super::Key;
use crate::error::DecodeError;
use crate::forecast::{Forecast, Misfit};
use crate::kafka_columns::KafkaColumn;
use crate::schema::{check_depth, optional, structure};
use crate::settings::DecodeSettings;
use crate::{Change, Proposal};

/// See the module.
pub(crate) struct KeyColumn {
    topic: String,
    /// As the table has it, or will.
    pub name: String,
    /// Where it stands in the table; `None` if the table has none.
    pub at: Option<usize>,
    /// Its members, and the columns of Kafka's that every table has.
    pub of_key: Schema,
    pub of_value: Schema,
}

impl KeyColumn {
    /// # Errors
    /// The table has such a column, and no key fits into it.
    pub fn of(table: &Schema, key: &Key, settings: &DecodeSettings) -> Result<Self, DecodeError> {
        let fields = table.as_struct().fields();
        let at = fields.iter().position(|field| key.is_column(&field.name));
        let name = at.map_or(&key.column, |at| &fields[at].name);
        let refused = |problem: &str| DecodeError::Column {
            topic: settings.topic.clone(),
            column: name.clone(),
            problem: problem.to_owned(),
        };
        let members = match at.map(|at| (fields[at].field_type.as_ref(), fields[at].required)) {
            None => Vec::new(),
            Some((_, true)) => return Err(refused("has to be optional: a record may have no key")),
            Some((Type::Struct(members), false)) => members.fields().to_vec(),
            Some(_) => return Err(refused("is the key's, and has to be a struct")),
        };
        let kafkas = fields
            .iter()
            .filter(|field| KafkaColumn::by_name(&field.name).is_some_and(KafkaColumn::is_in_every_table));
        let of_key = members.into_iter().chain(kafkas.cloned());
        let of_value = fields.iter().filter(|field| !key.is_column(&field.name)).cloned();
        let schema = |fields: Vec<NestedFieldRef>| {
            let schema = Schema::builder().with_fields(fields).build();
            schema.map_err(|source| DecodeError::Schema {
                topic: settings.topic.clone(),
                source: Box::new(source),
            })
        };
        Ok(Self {
            topic: settings.topic.clone(),
            name: name.clone(),
            at,
            of_key: schema(of_key.collect())?,
            of_value: schema(of_value.collect())?,
        })
    }

    /// A column's path in the table, from that within the key.
    pub fn path(&self, within: &str) -> String {
        match within {
            "" => self.name.clone(),
            within => format!("{}.{within}", self.name),
        }
    }

    /// What the table would make of keys, from what the key's part of it would.
    pub fn forecast(&self, of_key: Forecast) -> Result<Forecast, DecodeError> {
        let proposals = of_key
            .changes
            .into_iter()
            .map(|change| Proposal { change, caused_by: 0 });
        let changes = self.growth(proposals.collect())?;
        let misfits = of_key.misfits.into_iter().map(|misfit| Misfit {
            column: self.path(&misfit.column),
            ..misfit
        });
        Ok(Forecast {
            changes: changes.into_iter().map(|proposal| proposal.change).collect(),
            misfits: misfits.collect(),
            left_out: of_key.left_out.iter().map(|field| self.path(field)).collect(),
        })
    }

    /// What the column lacks, from what the key's part of the table does; the column itself, if there is none.
    pub fn growth(&self, grown: Vec<Proposal>) -> Result<Vec<Proposal>, DecodeError> {
        if self.at.is_some() {
            let below = |path: Vec<String>| [vec![self.name.clone()], path].concat();
            let proposal = |proposal: Proposal| Proposal {
                change: match proposal.change {
                    Change::AddColumn { parent, name, ty } => Change::AddColumn {
                        parent: below(parent),
                        name,
                        ty,
                    },
                    Change::Widen { path, to } => Change::Widen {
                        path: below(path),
                        to,
                    },
                    Change::MakeOptional { path } => Change::MakeOptional { path: below(path) },
                    Change::Rename { path, to } => Change::Rename {
                        path: below(path),
                        to,
                    },
                },
                ..proposal
            };
            return Ok(grown.into_iter().map(proposal).collect());
        }
        let caused_by = grown.iter().map(|proposal| proposal.caused_by).min();
        let members = grown.into_iter().filter_map(|proposal| match proposal.change {
            Change::AddColumn { name, ty, .. } => Some(Arc::new(optional(&name, ty))),
            // There is nothing yet that these could change.
            Change::Widen { .. } | Change::MakeOptional { .. } | Change::Rename { .. } => None,
        });
        let (Some(caused_by), Some(ty)) = (caused_by, structure(members.collect())) else {
            return Ok(Vec::new());
        };
        check_depth(&ty).map_err(|problem| DecodeError::Column {
            topic: self.topic.clone(),
            column: self.name.clone(),
            problem,
        })?;
        let change = Change::AddColumn {
            parent: Vec::new(),
            name: self.name.clone(),
            ty,
        };
        Ok(vec![Proposal { change, caused_by }])
    }
}
