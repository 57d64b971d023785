//! Rows put in an order before they are written, so that queries by the columns of the order open fewer files and row
//! groups: sorted, z-ordered, or only by the partition that they move to.

mod layout;
mod sorter;
mod z_order;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use iceberg::spec::{NullOrder, PartitionSpec, Schema, SortDirection, TableMetadata, Transform};
use tabletopic_table::partition::Keys;

pub use layout::{Layout, SortColumns};
pub use sorter::{Sorted, Sorter};

use crate::MaintainError;
use z_order::z_order;

/// What a layout means in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrangement {
    columns: Vec<Ordering>,
    interleaved: bool,
    /// The id of the table's sort order, if this is it.
    pub sort_order: Option<i32>,
}

impl Arrangement {
    /// `None`: rows stay as they come.
    ///
    /// # Errors
    /// A column that the table does not have, or that has no order; a table without a sort order.
    pub fn of(layout: &Layout, metadata: &TableMetadata) -> Result<Option<Self>, MaintainError> {
        let schema = metadata.current_schema();
        let arrangement = match layout {
            Layout::AsRead => return Ok(None),
            Layout::TableOrder => {
                let order = metadata.default_sort_order();
                let columns: Vec<_> = order
                    .fields
                    .iter()
                    .map(|field| {
                        (
                            field.source_id,
                            field.transform,
                            options(field.direction, field.null_order),
                        )
                    })
                    .collect();
                if columns.is_empty() {
                    return Err(MaintainError::Unsupported(
                        "the table has no sort order; name columns, as in --sort 'customer, created_at desc'"
                            .to_owned(),
                    ));
                }
                Self {
                    columns,
                    interleaved: false,
                    sort_order: i32::try_from(order.order_id).ok(),
                }
            }
            Layout::Columns(columns) => Self {
                columns: columns
                    .iter()
                    .map(|column| as_it_is(schema, &column.name, column.options()))
                    .collect::<Result<_, _>>()?,
                interleaved: false,
                sort_order: None,
            },
            Layout::ZOrder(names) => Self {
                columns: names
                    .iter()
                    .map(|name| as_it_is(schema, name.trim(), SortOptions::default()))
                    .collect::<Result<_, _>>()?,
                interleaved: true,
                sort_order: None,
            },
        };
        // So that a column without an order is told before anything is read.
        Ranking::new(&arrangement, None, schema)?;
        Ok(Some(arrangement))
    }
}

/// A column that rows are ordered by.
type Ordering = (i32, Transform, SortOptions);

fn as_it_is(schema: &Schema, name: &str, options: SortOptions) -> Result<Ordering, MaintainError> {
    Ok((column_id(schema, name)?, Transform::Identity, options))
}

fn options(direction: SortDirection, nulls: NullOrder) -> SortOptions {
    SortOptions {
        descending: direction == SortDirection::Descending,
        nulls_first: nulls == NullOrder::First,
    }
}

fn column_id(schema: &Schema, name: &str) -> Result<i32, MaintainError> {
    let names = schema
        .as_struct()
        .fields()
        .iter()
        .map(|field| field.name.as_str());
    match schema.field_by_name(name) {
        Some(field) if field.field_type.is_primitive() => Ok(field.id),
        Some(_) => Err(MaintainError::Unsupported(format!(
            "`{name}` has no order, since it is a struct, list or map; name a column of numbers, times or texts, or one \
             inside a struct, as in place.street"
        ))),
        None => Err(MaintainError::Unsupported(format!(
            "the table has no column `{name}`; it has {}",
            names.collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// What the rows of one piece are ordered by: the partition that they go to, if they move, then the arrangement.
pub struct Ranking {
    keys: RankKeys,
    /// One for each key.
    options: Vec<SortOptions>,
    /// The key columns, then those of the table.
    schema: SchemaRef,
}

struct RankKeys {
    partition: Keys,
    columns: Keys,
    interleaved: bool,
}

impl RankKeys {
    fn arrays(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, MaintainError> {
        let mut keys = self.partition.arrays(rows)?;
        let columns = self.columns.arrays(rows)?;
        match self.interleaved {
            true => keys.push(Arc::new(z_order(&columns)?)),
            false => keys.extend(columns),
        }
        Ok(keys)
    }
}

impl Ranking {
    /// # Errors
    /// Columns that have no order.
    pub fn new(
        arrangement: &Arrangement,
        moves_to: Option<&PartitionSpec>,
        schema: &Schema,
    ) -> Result<Self, MaintainError> {
        let columns: Vec<_> = arrangement
            .columns
            .iter()
            .map(|(id, transform, _)| (*id, *transform))
            .collect();
        let partition = match moves_to {
            Some(spec) => Keys::of_spec(spec, schema)?,
            None => Keys::default(),
        };
        let rows = tabletopic_table::read::row_schema(schema)?;
        let keys = RankKeys {
            partition,
            columns: Keys::new(&columns, schema)?,
            interleaved: arrangement.interleaved,
        };
        let arrays = keys.arrays(&RecordBatch::new_empty(rows.clone()))?;
        let wanted: Vec<SortOptions> = match arrangement.interleaved {
            true => vec![SortOptions::default()],
            false => arrangement.columns.iter().map(|(.., options)| *options).collect(),
        };
        // Those of the partition come first.
        let options = std::iter::repeat_n(SortOptions::default(), arrays.len() - wanted.len()).chain(wanted);
        let fields = arrays
            .iter()
            .enumerate()
            .map(|(at, key)| Arc::new(Field::new(format!("key {at}"), key.data_type().clone(), true)));
        let fields: Vec<_> = fields.chain(rows.fields().iter().cloned()).collect();
        Ok(Self {
            keys,
            options: options.collect(),
            schema: Arc::new(ArrowSchema::new(fields)),
        })
    }

    /// Rows with their keys before them.
    ///
    /// # Errors
    /// A value that the partition transform cannot take.
    pub fn ranked(&self, rows: &RecordBatch) -> Result<RecordBatch, MaintainError> {
        let keys = self.keys.arrays(rows)?.into_iter();
        let columns = keys.chain(rows.columns().iter().cloned());
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect())?)
    }

    /// The rows without their keys.
    ///
    /// # Errors
    /// None of batches that [`ranked`](Self::ranked) made.
    pub fn rows(&self, ranked: &RecordBatch) -> Result<RecordBatch, MaintainError> {
        let columns: Vec<usize> = (self.options.len()..ranked.num_columns()).collect();
        Ok(ranked.project(&columns)?)
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Of the first columns of [`schema`](Self::schema).
    pub fn options(&self) -> &[SortOptions] {
        &self.options
    }
}
