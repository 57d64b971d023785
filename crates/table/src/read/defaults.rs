//! Columns of tables of format version 3 that have another value than null where a file lacks them.

use iceberg::spec::{NestedField, NestedFieldRef, Schema, Type};

use super::file::OpenFile;

impl OpenFile {
    /// A column of `schema` that this file lacks although it has an `initial-default`: its rows are read as null here.
    pub fn lacks_default<'s>(&self, schema: &'s Schema) -> Option<&'s NestedField> {
        let fields = with_default(schema.as_struct().fields()).into_iter();
        fields.map(AsRef::as_ref).find(|field| !self.has_leaf(field.id))
    }
}

/// The fields of simple types that have an initial default, also inside of others.
fn with_default(fields: &[NestedFieldRef]) -> Vec<&NestedFieldRef> {
    let mut found = Vec::new();
    for field in fields {
        match field.field_type.as_ref() {
            Type::Primitive(_) if field.initial_default.is_some() => found.push(field),
            Type::Primitive(_) => {}
            Type::Struct(inner) => found.extend(with_default(inner.fields())),
            Type::List(list) => found.extend(with_default(std::slice::from_ref(&list.element_field))),
            Type::Map(map) => {
                found.extend(with_default(std::slice::from_ref(&map.key_field)));
                found.extend(with_default(std::slice::from_ref(&map.value_field)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{Literal, NestedField, PrimitiveType, Schema, StructType};

    use super::*;

    #[test]
    fn defaults_are_found_inside_of_structs() {
        let long = |id, name: &str| NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long));
        let inner = long(3, "b").with_initial_default(Literal::long(7));
        let outer = NestedField::optional(2, "s", Type::Struct(StructType::new(vec![inner.into()])));
        let schema = Schema::builder()
            .with_fields([long(1, "a").into(), outer.into()])
            .build()
            .unwrap();
        let found: Vec<i32> = with_default(schema.as_struct().fields())
            .iter()
            .map(|field| field.id)
            .collect();
        assert_eq!(found, [3]);
    }
}
