//! The dead-letter table: records that could not become rows, whole and with the reason.

use std::sync::Arc;

use iceberg::spec::{ListType, NestedField, PrimitiveType, Schema, StructType, Type};

/// Columns of `<table>__dead_letters`.
///
/// # Errors
/// None in practice: the schema is fixed.
pub fn schema() -> Result<Schema, iceberg::Error> {
    use PrimitiveType::{Binary, Int, Long, String, Timestamptz};
    let column =
        |id, name: &str, ty, required| Arc::new(NestedField::new(id, name, Type::Primitive(ty), required));
    let header = Type::Struct(StructType::new(vec![
        column(14, "key", String, true),
        column(15, "value", Binary, false),
    ]));
    let headers = Type::List(ListType::new(Arc::new(NestedField::list_element(
        13, header, true,
    ))));
    Schema::builder()
        .with_fields([
            column(1, "job", String, true),
            column(2, "topic", String, true),
            column(3, "partition", Int, true),
            column(4, "offset", Long, true),
            column(5, "timestamp", Timestamptz, false),
            column(6, "key", Binary, false),
            column(7, "value", Binary, false),
            Arc::new(NestedField::optional(8, "headers", headers)),
            column(9, "reason", String, true),
            column(10, "field", String, false),
            column(11, "detail", String, true),
            column(12, "topic_id", String, false),
        ])
        .build()
}
