//! The type that values of two types are compared as: one that holds all of both without loss.

use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};

use super::schema::Difference;

/// The type that `a` and `b` are compared as, with the field ids of `a`; `None` where there is none. What differs between
/// them is added to `found`, under the name `column`.
pub fn common(a: &Type, b: &Type, column: &str, found: &mut Vec<Difference>) -> Option<Type> {
    match (a, b) {
        (Type::Primitive(a), Type::Primitive(b)) => {
            let Some(both) = primitive(a, b) else {
                found.push(incomparable(column, a, b));
                return None;
            };
            if a != b {
                found.push(Difference::Type {
                    column: column.to_owned(),
                    a: a.to_string(),
                    b: b.to_string(),
                    compared_as: both.to_string(),
                });
            }
            Some(Type::Primitive(both))
        }
        (Type::Struct(a), Type::Struct(b)) => {
            let fields = fields(a.fields(), b.fields(), &format!("{column}."), found);
            (!fields.is_empty()).then(|| Type::Struct(StructType::new(fields)))
        }
        (Type::List(a), Type::List(b)) => {
            let name = format!("{column}.element");
            let element = common(
                &a.element_field.field_type,
                &b.element_field.field_type,
                &name,
                found,
            )?;
            Some(Type::List(ListType::new(optional(&a.element_field, element))))
        }
        (Type::Map(a), Type::Map(b)) => {
            let (key, value) = (format!("{column}.key"), format!("{column}.value"));
            let key = common(&a.key_field.field_type, &b.key_field.field_type, &key, found);
            let value = common(
                &a.value_field.field_type,
                &b.value_field.field_type,
                &value,
                found,
            );
            Some(Type::Map(MapType::new(
                NestedField::map_key_element(a.key_field.id, key?).into(),
                optional(&a.value_field, value?),
            )))
        }
        (a, b) => {
            found.push(incomparable(column, a, b));
            None
        }
    }
}

/// The fields that both have by name and that can be compared, in the order of `a`.
pub fn fields(
    a: &[NestedFieldRef],
    b: &[NestedFieldRef],
    prefix: &str,
    found: &mut Vec<Difference>,
) -> Vec<NestedFieldRef> {
    let mut both = Vec::new();
    for ours in a {
        let column = format!("{prefix}{}", ours.name);
        let Some(theirs) = b.iter().find(|field| field.name == ours.name) else {
            found.push(Difference::OnlyInA {
                column,
                field_type: ours.field_type.to_string(),
            });
            continue;
        };
        if ours.id != theirs.id {
            found.push(Difference::FieldId {
                column: column.clone(),
                a: ours.id,
                b: theirs.id,
            });
        }
        if let Some(ty) = common(&ours.field_type, &theirs.field_type, &column, found) {
            both.push(optional(ours, ty));
        }
    }
    for theirs in b {
        if !a.iter().any(|field| field.name == theirs.name) {
            found.push(Difference::OnlyInB {
                column: format!("{prefix}{}", theirs.name),
                field_type: theirs.field_type.to_string(),
            });
        }
    }
    both
}

/// Whether a value may be missing is no part of the comparison: a null is a value like others.
fn optional(field: &NestedFieldRef, ty: Type) -> NestedFieldRef {
    Arc::new(NestedField::optional(field.id, &field.name, ty))
}

fn incomparable(column: &str, a: &impl ToString, b: &impl ToString) -> Difference {
    Difference::Incomparable {
        column: column.to_owned(),
        a: a.to_string(),
        b: b.to_string(),
    }
}

fn primitive(a: &PrimitiveType, b: &PrimitiveType) -> Option<PrimitiveType> {
    use PrimitiveType::{
        Binary, Decimal, Double, Fixed, Float, Int, Long, String, Timestamp, TimestampNs, Timestamptz,
        TimestamptzNs, Uuid,
    };
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Int, Long) | (Long, Int) => Long,
        (Float, Double) | (Double, Float) => Double,
        (
            Decimal {
                precision: a,
                scale: a_scale,
            },
            Decimal {
                precision: b,
                scale: b_scale,
            },
        ) => {
            let scale = *a_scale.max(b_scale);
            let whole = (a.saturating_sub(*a_scale)).max(b.saturating_sub(*b_scale));
            let precision = whole + scale;
            // The most that Iceberg has.
            if precision > 38 {
                return None;
            }
            Decimal { precision, scale }
        }
        // One without a zone is taken for UTC.
        (Timestamp | Timestamptz, Timestamp | Timestamptz) => Timestamptz,
        (TimestampNs, Timestamp) | (Timestamp, TimestampNs) => TimestampNs,
        (
            Timestamp | Timestamptz | TimestampNs | TimestamptzNs,
            Timestamp | Timestamptz | TimestampNs | TimestamptzNs,
        ) => TimestamptzNs,
        (Uuid, String) | (String, Uuid) => String,
        (Binary | Fixed(_), Binary | Fixed(_)) => Binary,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_type_holds_all_values_of_both() {
        use PrimitiveType::{
            Binary, Date, Decimal, Double, Fixed, Float, Int, Long, String, Timestamp, Timestamptz, Uuid,
        };
        let decimal = |precision, scale| Decimal { precision, scale };
        for (a, b, both) in [
            (Int, Long, Some(Long)),
            (Double, Float, Some(Double)),
            (decimal(9, 2), decimal(9, 3), Some(decimal(10, 3))),
            (decimal(38, 0), decimal(10, 5), None),
            (Timestamp, Timestamptz, Some(Timestamptz)),
            (Uuid, String, Some(String)),
            (Fixed(4), Binary, Some(Binary)),
            (Long, Double, None),
            (Date, Timestamp, None),
            (String, Binary, None),
        ] {
            assert_eq!(primitive(&a, &b), both, "{a} and {b}");
            assert_eq!(primitive(&b, &a), both, "{b} and {a}");
        }
    }

    #[test]
    fn fields_of_structs_are_found_by_name_and_differences_have_their_path() {
        let long = |id, name: &str| {
            Arc::new(NestedField::optional(
                id,
                name,
                Type::Primitive(PrimitiveType::Long),
            ))
        };
        let of = |fields| Type::Struct(StructType::new(fields));
        let (a, b) = (
            of(vec![long(2, "x"), long(3, "y")]),
            of(vec![long(9, "z"), long(2, "x")]),
        );
        let mut found = Vec::new();
        let both = common(&a, &b, "place", &mut found).unwrap();
        assert_eq!(both, of(vec![long(2, "x")]));
        let columns: Vec<&str> = found.iter().map(Difference::column).collect();
        assert_eq!(columns, ["place.y", "place.z"]);
    }
}
