//! What the tests of several formats need: records in, values out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(dead_code, reason = "each test of a format takes what it needs")]

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use iceberg::spec::{NestedFieldRef, Schema, Type};
use tabletopic_decode::{Change, DecodeSettings, Decoded, Format, Reason, create_schema, decoder, parse_ddl};
use tabletopic_records::{NoHeaders, Record};

pub fn records<'a>(values: &'a [Option<Vec<u8>>]) -> Vec<Record<'a>> {
    (0i64..)
        .zip(values)
        .map(|(offset, value)| Record {
            partition: 3,
            offset,
            timestamp: Some(1_769_851_616_123),
            key: None,
            value: value.as_deref(),
            headers: &NoHeaders,
        })
        .collect()
}

/// A table with these columns, as DDL has them.
pub fn table(columns: &str) -> Schema {
    // No column of the table depends on the format.
    let settings = DecodeSettings::new("orders", Format::Json);
    let columns = parse_ddl(&format!("CREATE TABLE t ({columns})")).unwrap();
    create_schema(&columns, &settings).unwrap()
}

pub fn decode(settings: &DecodeSettings, schema: &Schema, values: &[Option<Vec<u8>>]) -> Decoded {
    decoder(settings, schema)
        .unwrap()
        .decode(&records(values))
        .unwrap()
}

pub fn column<'a>(decoded: &'a Decoded, name: &str) -> &'a ArrayRef {
    decoded
        .batch
        .column_by_name(name)
        .unwrap_or_else(|| panic!("no column {name}: {decoded:?}"))
}

pub fn longs(decoded: &Decoded, name: &str) -> Vec<Option<i64>> {
    column(decoded, name).as_primitive::<Int64Type>().iter().collect()
}

pub fn show(array: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options)
        .unwrap()
        .value(row)
        .to_string()
}

pub fn reasons(decoded: &Decoded) -> Vec<(usize, Reason)> {
    decoded.bad.iter().map(|bad| (bad.index, bad.reason)).collect()
}

pub fn type_name(ty: &Type) -> String {
    match ty {
        Type::Primitive(primitive) => primitive.to_string(),
        Type::Struct(fields) => {
            let fields = fields.fields().iter();
            let fields = fields.map(|field| format!("{}: {}", field.name, type_name(&field.field_type)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        Type::List(list) => format!("list<{}>", type_name(&list.element_field.field_type)),
        Type::Map(map) => format!(
            "map<{}, {}>",
            type_name(&map.key_field.field_type),
            type_name(&map.value_field.field_type)
        ),
    }
}

pub fn names(fields: &[NestedFieldRef]) -> Vec<String> {
    let name = |field: &NestedFieldRef| format!("{} {}", field.name, type_name(&field.field_type));
    fields.iter().map(name).collect()
}

pub fn shown(change: &Change) -> String {
    match change {
        Change::AddColumn { parent, name, ty } => {
            let parent = parent.iter().map(|part| format!("{part}.")).collect::<String>();
            format!("{parent}{name} {}", type_name(ty))
        }
        Change::Widen { path, to } => format!("{} -> {to}", path.join(".")),
        Change::MakeOptional { path } => format!("optional {}", path.join(".")),
        Change::Rename { path, to } => format!("rename {} to {to}", path.join(".")),
    }
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
