//! Row lineage: the id that a row keeps wherever it is moved to, and the sequence number of the commit that last changed it
//! ("Row Lineage" of the Iceberg specification, version 3).
//!
//! A file that was written by a change has neither of the two columns, and its rows inherit both. A file that has rows of
//! others has columns, where null means inherited.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{FieldRef, Int64Type};
use arrow::error::ArrowError;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Schema, Type};

use super::columns::column_id;

/// The specification's reserved field ids.
const ROW_ID: i32 = i32::MAX - 107;
const LAST_UPDATED: i32 = i32::MAX - 108;

/// What rows of one data file inherit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// `None`: its rows have no ids yet, as those of a table that was upgraded and not written to since.
    pub first_row_id: Option<i64>,
    /// The data sequence number of the file.
    pub sequence_number: i64,
}

/// The columns of a table, and those of row lineage after them.
///
/// # Errors
/// A table that has columns of these names.
pub fn with_lineage(schema: &Schema) -> Result<Schema, iceberg::Error> {
    let long = |id, name| {
        Arc::new(NestedField::optional(
            id,
            name,
            Type::Primitive(PrimitiveType::Long),
        ))
    };
    let lineage: [NestedFieldRef; 2] = [
        long(ROW_ID, "_row_id"),
        long(LAST_UPDATED, "_last_updated_sequence_number"),
    ];
    Schema::builder()
        .with_schema_id(schema.schema_id())
        .with_fields(schema.as_struct().fields().iter().cloned().chain(lineage))
        .build()
}

/// Which of the columns that are read are those of row lineage.
#[derive(Debug)]
pub(super) struct Inherit {
    lineage: Lineage,
    row_id: Option<usize>,
    last_updated: Option<usize>,
}

impl Inherit {
    /// `None`: none of them is wanted.
    pub(super) fn new(lineage: Lineage, wanted: &[FieldRef]) -> Option<Self> {
        let column = |id| wanted.iter().position(|field| column_id(field) == Some(id));
        let (row_id, last_updated) = (column(ROW_ID), column(LAST_UPDATED));
        (row_id.is_some() || last_updated.is_some()).then_some(Self {
            lineage,
            row_id,
            last_updated,
        })
    }

    /// Puts what is inherited in the place of nulls. `positions` are those of the rows in the file.
    pub(super) fn fill(&self, columns: &mut [ArrayRef], positions: &[u64]) -> Result<(), ArrowError> {
        if let (Some(at), Some(first)) = (self.row_id, self.lineage.first_row_id) {
            columns[at] = filled(&columns[at], |row| {
                let position = i64::try_from(positions[row]).ok()?;
                first.checked_add(position)
            })?;
        }
        if let Some(at) = self.last_updated {
            columns[at] = filled(&columns[at], |_| Some(self.lineage.sequence_number))?;
        }
        Ok(())
    }
}

fn filled(column: &ArrayRef, inherited: impl Fn(usize) -> Option<i64>) -> Result<ArrayRef, ArrowError> {
    let of_another_type = || ArrowError::CastError(format!("a row id is {}", column.data_type()));
    let own = column
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(of_another_type)?;
    let all = own.iter().enumerate();
    let filled: Int64Array = all.map(|(row, own)| own.or_else(|| inherited(row))).collect();
    match filled.null_count() {
        0 => Ok(Arc::new(filled)),
        _ => Err(ArrowError::ComputeError(
            "the ids of its rows are larger than an id may be".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use iceberg::arrow::schema_to_arrow_schema;

    use super::*;

    fn longs(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    /// A column of the table between null columns of lineage and others.
    fn filled_with(lineage: Lineage) -> Vec<ArrayRef> {
        let schema = Schema::builder()
            .with_fields([Arc::new(NestedField::optional(
                1,
                "id",
                Type::Primitive(PrimitiveType::Long),
            ))])
            .build()
            .unwrap();
        let with = schema_to_arrow_schema(&with_lineage(&schema).unwrap()).unwrap();
        assert_eq!(
            with.fields()
                .iter()
                .filter_map(|field| column_id(field))
                .collect::<Vec<_>>(),
            [1, 2_147_483_540, 2_147_483_539],
            "as the specification has them"
        );
        let mut columns = vec![
            longs(&[None, None, Some(1)]),
            longs(&[None, Some(3), None]),
            longs(&[Some(2), None, None]),
        ];
        let inherit = Inherit::new(lineage, with.fields()).unwrap();
        inherit.fill(&mut columns, &[10, 11, 15]).unwrap();
        columns
    }

    #[test]
    fn what_a_file_says_itself_is_kept_and_the_rest_inherited() {
        let columns = filled_with(Lineage {
            first_row_id: Some(100),
            sequence_number: 7,
        });
        assert_eq!(columns[0].as_ref(), longs(&[None, None, Some(1)]).as_ref());
        assert_eq!(
            columns[1].as_ref(),
            longs(&[Some(110), Some(3), Some(115)]).as_ref()
        );
        assert_eq!(columns[2].as_ref(), longs(&[Some(2), Some(7), Some(7)]).as_ref());
    }

    #[test]
    fn rows_without_ids_get_none_and_say_when_they_were_changed() {
        let columns = filled_with(Lineage {
            first_row_id: None,
            sequence_number: 7,
        });
        assert_eq!(columns[1].as_ref(), longs(&[None, Some(3), None]).as_ref());
        assert_eq!(columns[2].as_ref(), longs(&[Some(2), Some(7), Some(7)]).as_ref());
    }

    #[test]
    fn a_table_that_has_such_a_column_is_refused() {
        let own = NestedField::optional(1, "_row_id", Type::Primitive(PrimitiveType::Long));
        let schema = Schema::builder().with_fields([Arc::new(own)]).build().unwrap();
        let said = with_lineage(&schema).unwrap_err().to_string();
        assert!(said.contains("_row_id"), "{said}");
    }
}
