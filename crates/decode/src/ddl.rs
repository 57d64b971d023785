//! A table's columns from SQL: `CREATE TABLE` as people write it becomes Iceberg fields.

use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};
use sqlparser::ast::{
    ArrayElemTypeDef, ColumnDef, ColumnOption, DataType, ExactNumberInfo, Ident, Statement, TimezoneInfo,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Tokenizer};

use crate::schema::{PLACEHOLDER_ID, check_depth};

/// What is wrong with a DDL text, and where: line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct DdlError {
    pub line: u64,
    pub column: u64,
    pub problem: String,
}

impl DdlError {
    fn at(location: Location, problem: impl Into<String>) -> Self {
        Self {
            line: location.line,
            column: location.column,
            problem: problem.into(),
        }
    }
}

/// The columns of the one `CREATE TABLE` in `sql`; ids are placeholders.
///
/// Types: `BOOLEAN`; `TINYINT`, `SMALLINT`, `INT` (int); `BIGINT` (long); `REAL`, `FLOAT` (float);
/// `DOUBLE [PRECISION]`; `DECIMAL(p,s)`; `DATE`; `TIME`; `TIMESTAMP`; `TIMESTAMPTZ` and `TIMESTAMP WITH
/// TIME ZONE`; `VARCHAR`, `CHAR`, `TEXT`, `STRING` (string; a length is refused, Iceberg has none);
/// `BINARY`, `VARBINARY`, `BYTEA`, `BLOB` (binary); `BINARY(n)` (fixed); `UUID`; `STRUCT<a INT, ..>`;
/// `ARRAY<INT>` and `INT[]`; `MAP(VARCHAR, INT)`. `NOT NULL` makes a column required.
pub fn parse_ddl(sql: &str) -> Result<Vec<NestedFieldRef>, DdlError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| DdlError::at(error.location, error.message))?;
    let start = Location { line: 1, column: 1 };
    let mut statements = Parser::new(&dialect)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| located(&error.to_string(), start))?;
    let table = match (statements.pop(), statements.is_empty()) {
        (Some(Statement::CreateTable(table)), true) => table,
        _ => return Err(DdlError::at(start, "expected exactly one CREATE TABLE statement")),
    };
    if let Some(constraint) = table.constraints.first() {
        let problem =
            format!("`{constraint}`: constraints between columns have no place in Iceberg; remove it");
        return Err(DdlError::at(start, problem));
    }
    if table.columns.is_empty() {
        return Err(DdlError::at(start, "the table has no columns"));
    }
    distinct(table.columns.iter().map(|column| &column.name))?;
    table.columns.iter().map(column).collect()
}

fn column(column: &ColumnDef) -> Result<NestedFieldRef, DdlError> {
    let at = column.name.span.start;
    let mut required = false;
    for option in &column.options {
        match &option.option {
            ColumnOption::NotNull => required = true,
            ColumnOption::Null => {}
            other => {
                let problem = format!("`{other}` on column {} is not supported; remove it", column.name);
                return Err(DdlError::at(at, problem));
            }
        }
    }
    let ty = iceberg_type(&column.data_type, &column.name)?;
    check_depth(&ty).map_err(|problem| DdlError::at(at, format!("column {}: {problem}", column.name)))?;
    Ok(Arc::new(NestedField::new(
        PLACEHOLDER_ID,
        &column.name.value,
        ty,
        required,
    )))
}

/// `name` is the column (or nested field) that an error points at.
fn iceberg_type(ty: &DataType, name: &Ident) -> Result<Type, DdlError> {
    let refuse = |problem: &str| Err(DdlError::at(name.span.start, format!("{name} {ty}: {problem}")));
    let primitive = match ty {
        DataType::Boolean | DataType::Bool => PrimitiveType::Boolean,
        DataType::TinyInt(None)
        | DataType::SmallInt(None)
        | DataType::Int(None)
        | DataType::Int2(None)
        | DataType::Int4(None)
        | DataType::Integer(None) => PrimitiveType::Int,
        DataType::BigInt(None) | DataType::Int8(None) => PrimitiveType::Long,
        DataType::Real | DataType::Float4 | DataType::Float(ExactNumberInfo::None) => PrimitiveType::Float,
        DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision | DataType::Float8 => {
            PrimitiveType::Double
        }
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => {
            let (precision, scale) = match *info {
                ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
                ExactNumberInfo::Precision(precision) => (precision, 0),
                ExactNumberInfo::None => return refuse("write precision and scale, as in DECIMAL(18,2)"),
            };
            match (u32::try_from(precision), u32::try_from(scale)) {
                (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => {
                    PrimitiveType::Decimal { precision, scale }
                }
                _ => return refuse("needs 1 <= precision <= 38 and 0 <= scale <= precision"),
            }
        }
        DataType::Date => PrimitiveType::Date,
        DataType::Time(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            PrimitiveType::Time
        }
        DataType::Timestamp(None | Some(6), zone) => match zone {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => PrimitiveType::Timestamp,
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => PrimitiveType::Timestamptz,
        },
        DataType::TimestampNtz(None | Some(6)) => PrimitiveType::Timestamp,
        DataType::Varchar(None)
        | DataType::CharacterVarying(None)
        | DataType::CharVarying(None)
        | DataType::Char(None)
        | DataType::Character(None)
        | DataType::Text
        | DataType::String(None) => PrimitiveType::String,
        DataType::Varchar(_)
        | DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Char(_)
        | DataType::Character(_)
        | DataType::String(_) => return refuse("Iceberg strings have no length; write VARCHAR"),
        DataType::Binary(None)
        | DataType::Varbinary(None)
        | DataType::Blob(None)
        | DataType::Bytes(None)
        | DataType::Bytea => PrimitiveType::Binary,
        DataType::Binary(Some(length)) if (1..=i32::MAX as u64).contains(length) => {
            PrimitiveType::Fixed(*length)
        }
        DataType::Uuid => PrimitiveType::Uuid,
        DataType::Struct(fields, _) => {
            let mut nested = Vec::with_capacity(fields.len());
            for field in fields {
                let Some(field_name) = &field.field_name else {
                    return refuse("name each field of the struct");
                };
                if field.options.is_some() {
                    return refuse("options on the field of a struct are not supported");
                }
                let ty = iceberg_type(&field.field_type, field_name)?;
                nested.push(Arc::new(NestedField::optional(
                    PLACEHOLDER_ID,
                    &field_name.value,
                    ty,
                )));
            }
            distinct(fields.iter().filter_map(|field| field.field_name.as_ref()))?;
            return Ok(Type::Struct(StructType::new(nested)));
        }
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(element) | ArrayElemTypeDef::SquareBracket(element, None),
        ) => {
            let element = NestedField::list_element(PLACEHOLDER_ID, iceberg_type(element, name)?, false);
            return Ok(Type::List(ListType::new(Arc::new(element))));
        }
        DataType::Map(key, value) => {
            let key = NestedField::map_key_element(PLACEHOLDER_ID, iceberg_type(key, name)?);
            let value = NestedField::map_value_element(PLACEHOLDER_ID, iceberg_type(value, name)?, false);
            return Ok(Type::Map(MapType::new(Arc::new(key), Arc::new(value))));
        }
        _ => return refuse("this type has no Iceberg type here; docs/json.md lists those that do"),
    };
    Ok(Type::Primitive(primitive))
}

/// Engines compare names without case, so two columns must differ in more than that.
fn distinct<'a>(names: impl Iterator<Item = &'a Ident>) -> Result<(), DdlError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name.value.to_lowercase()) {
            let problem = format!("column {name} is there twice (names are compared without case)");
            return Err(DdlError::at(name.span.start, problem));
        }
    }
    Ok(())
}

/// sqlparser writes the place only into its text: "... at Line: 2, Column: 5".
fn located(message: &str, start: Location) -> DdlError {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let place = message.rsplit_once(" at Line: ").and_then(|(problem, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some(DdlError {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            problem: problem.into(),
        })
    });
    place.unwrap_or_else(|| DdlError::at(start, message))
}
