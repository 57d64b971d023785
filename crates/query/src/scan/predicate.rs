//! From DataFusion's filters to Iceberg's predicates, by which manifests and files are pruned.
//!
//! Only what means the same in both is converted; what is left out prunes nothing and is still filtered by
//! DataFusion. Two things do not mean the same: in SQL, NaN is above all other numbers while bounds do not count it,
//! so that nothing bounds a float column from below; and nothing below a `NOT` may be left out.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use iceberg::expr::{Predicate, Reference};
use iceberg::spec::{Datum, PrimitiveType};

/// A column as predicates refer to it: its name in the schema that the scan is planned with, and its type there.
#[derive(Debug, Clone, PartialEq)]
pub struct Referred {
    pub name: String,
    pub ty: PrimitiveType,
}

/// Finds a column by the name that the query has for it.
pub type Columns<'a> = dyn Fn(&str) -> Option<Referred> + 'a;

/// The part of `filters` (all of which must hold) that Iceberg can judge; `None` if there is none.
pub fn convert(filters: &[Expr], columns: &Columns<'_>) -> Option<Predicate> {
    filters
        .iter()
        .filter_map(|filter| loosely(filter, columns))
        .reduce(Predicate::and)
}

/// A predicate that holds wherever `expr` does, and maybe elsewhere.
fn loosely(expr: &Expr, columns: &Columns<'_>) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => match (loosely(left, columns), loosely(right, columns)) {
            (Some(left), Some(right)) => Some(left.and(right)),
            (left, right) => left.or(right),
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => Some(loosely(left, columns)?.or(loosely(right, columns)?)),
        expr => exactly(expr, columns),
    }
}

/// A predicate that holds where `expr` does, and does not hold where `expr` is false.
fn exactly(expr: &Expr, columns: &Columns<'_>) -> Option<Predicate> {
    match expr {
        Expr::Not(inner) => match inner.as_ref() {
            // `NOT (x < 1)` is `x >= 1`, with all that this means for NaN.
            Expr::BinaryExpr(comparison) => {
                let negated = comparison.op.negate()?;
                compare(&comparison.left, negated, &comparison.right, columns)
            }
            Expr::IsNull(column) => unary(column, columns, Reference::is_not_null),
            Expr::IsNotNull(column) => unary(column, columns, Reference::is_null),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compare(left, *op, right, columns),
        Expr::IsNull(column) => unary(column, columns, Reference::is_null),
        Expr::IsNotNull(column) => unary(column, columns, Reference::is_not_null),
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => Some(compare(expr, Operator::GtEq, low, columns)?.and(compare(
            expr,
            Operator::LtEq,
            high,
            columns,
        )?)),
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let column = column(expr, columns)?;
            let values: Option<Vec<Datum>> = list.iter().map(|value| datum(value, &column.ty)).collect();
            Some(Reference::new(column.name).is_in(values?))
        }
        Expr::Like(like) => starts_with(like, columns),
        _ => None,
    }
}

fn unary(expr: &Expr, columns: &Columns<'_>, of: fn(Reference) -> Predicate) -> Option<Predicate> {
    column(expr, columns).map(|column| of(Reference::new(column.name)))
}

fn compare(left: &Expr, op: Operator, right: &Expr, columns: &Columns<'_>) -> Option<Predicate> {
    let (column, op, value) = match column(left, columns) {
        Some(column) => (column, op, right),
        None => (self::column(right, columns)?, op.swap()?, left),
    };
    let floating = matches!(column.ty, PrimitiveType::Float | PrimitiveType::Double);
    let value = datum(value, &column.ty)?;
    let reference = Reference::new(column.name);
    match op {
        Operator::Eq => Some(reference.equal_to(value)),
        Operator::Lt => Some(reference.less_than(value)),
        Operator::LtEq => Some(reference.less_than_or_equal_to(value)),
        Operator::NotEq if !floating => Some(reference.not_equal_to(value)),
        Operator::Gt if !floating => Some(reference.greater_than(value)),
        Operator::GtEq if !floating => Some(reference.greater_than_or_equal_to(value)),
        _ => None,
    }
}

/// `LIKE 'abc%'`.
fn starts_with(like: &Like, columns: &Columns<'_>) -> Option<Predicate> {
    if like.negated || like.case_insensitive || like.escape_char.is_some() {
        return None;
    }
    let column = column(&like.expr, columns)?;
    let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
        return None;
    };
    let prefix = pattern.try_as_str()??.strip_suffix('%')?;
    let plain = !prefix.is_empty() && !prefix.contains(['%', '_', '\\']);
    (plain && column.ty == PrimitiveType::String)
        .then(|| Reference::new(column.name).starts_with(Datum::string(prefix)))
}

fn column(expr: &Expr, columns: &Columns<'_>) -> Option<Referred> {
    match expr {
        Expr::Column(column) => columns(&column.name),
        _ => None,
    }
}

/// A literal as a value of the column's own type; `None` where it has none, or is null.
fn datum(expr: &Expr, ty: &PrimitiveType) -> Option<Datum> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    match (ty, value) {
        (PrimitiveType::Boolean, ScalarValue::Boolean(value)) => value.map(Datum::bool),
        (PrimitiveType::Int, ScalarValue::Int32(value)) => value.map(Datum::int),
        (PrimitiveType::Long, ScalarValue::Int64(value)) => value.map(Datum::long),
        // Bounds tell 0.0 from -0.0, and rows do not.
        (PrimitiveType::Float, ScalarValue::Float32(Some(value))) if !value.is_nan() && *value != 0.0 => {
            Some(Datum::float(*value))
        }
        (PrimitiveType::Double, ScalarValue::Float64(Some(value))) if !value.is_nan() && *value != 0.0 => {
            Some(Datum::double(*value))
        }
        (PrimitiveType::Date, ScalarValue::Date32(value)) => value.map(Datum::date),
        (PrimitiveType::Timestamp, ScalarValue::TimestampMicrosecond(value, None)) => {
            value.filter(since_1970).map(Datum::timestamp_micros)
        }
        (PrimitiveType::Timestamptz, ScalarValue::TimestampMicrosecond(value, Some(_))) => {
            value.filter(since_1970).map(Datum::timestamptz_micros)
        }
        (PrimitiveType::String, value) => value.try_as_str()?.map(Datum::string),
        _ => None,
    }
}

/// Before, the iceberg crate takes the last second of a day for the next day's.
fn since_1970(micros: &i64) -> bool {
    *micros >= 0
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn columns(name: &str) -> Option<Referred> {
        let ty = match name {
            "id" => PrimitiveType::Long,
            "price" => PrimitiveType::Double,
            "name" => PrimitiveType::String,
            "at" => PrimitiveType::Timestamp,
            _ => return None,
        };
        Some(Referred {
            name: name.to_owned(),
            ty,
        })
    }

    fn converted(expr: Expr) -> Option<String> {
        convert(&[expr], &columns).map(|predicate| predicate.to_string())
    }

    #[test]
    fn comparisons_are_converted_either_way_round() {
        assert_eq!(converted(col("id").gt(lit(5_i64))), Some("id > 5".to_owned()));
        assert_eq!(converted(lit(5_i64).gt(col("id"))), Some("id < 5".to_owned()));
        assert_eq!(
            converted(col("name").like(lit("a%"))),
            Some(r#"name STARTS WITH "a""#.to_owned())
        );
    }

    #[test]
    fn half_of_an_and_is_enough_and_half_of_an_or_is_nothing() {
        let known = col("id").eq(lit(1_i64));
        let unknown = col("else").eq(lit(1_i64));
        assert_eq!(
            converted(known.clone().and(unknown.clone())),
            Some("id = 1".to_owned())
        );
        assert_eq!(converted(known.clone().or(unknown.clone())), None);
        assert_eq!(converted(Expr::Not(Box::new(known.and(unknown)))), None);
    }

    #[test]
    fn nothing_bounds_floats_from_below_because_nan_is_above() {
        assert_eq!(converted(col("price").gt(lit(1.0))), None);
        assert_eq!(converted(Expr::Not(Box::new(col("price").lt(lit(1.0))))), None);
        assert_eq!(converted(col("price").lt(lit(1.0))), Some("price < 1".to_owned()));
        assert_eq!(converted(col("price").eq(lit(0.0))), None, "it may be -0.0");
    }

    #[test]
    fn what_has_another_type_or_a_wildcard_inside_is_left_out() {
        assert_eq!(converted(col("id").eq(lit("1"))), None);
        assert_eq!(converted(col("name").like(lit("a%b%"))), None);
        assert_eq!(converted(col("name").like(lit("%"))), None);
        assert_eq!(converted(col("id").eq(lit(ScalarValue::Int64(None)))), None);
        let at = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), None));
        assert_eq!(converted(col("at").gt(at(-86_400_500_000))), None);
        assert!(converted(col("at").gt(at(0))).is_some());
    }
}
