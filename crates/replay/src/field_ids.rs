//! Field ids of a replay's table, chosen so that its files can take the place of the original's.
//!
//! Files name their columns by field ids. A column that is the original's, by its path and with a type that it has or may
//! be promoted to, gets the original's id; every other one gets an id that the original has never given out.

use std::sync::Arc;

use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, Schema, StructType, TableMetadata, Type,
};
use tabletopic_table::schema::promotes;

/// `schema` with such ids.
///
/// # Errors
/// Those of the iceberg crate, for names that collide.
pub fn ids_of(original: &TableMetadata, schema: &Schema) -> iceberg::Result<Schema> {
    let mut ids = Ids {
        last: original
            .last_column_id()
            .max(original.current_schema().highest_field_id()),
    };
    let like = original.current_schema().as_struct();
    let fields = ids.of_struct(schema.as_struct(), Some(like));
    Schema::builder().with_fields(fields).build()
}

struct Ids {
    last: i32,
}

impl Ids {
    fn of_struct(&mut self, fields: &StructType, like: Option<&StructType>) -> Vec<NestedFieldRef> {
        let fields = fields.fields().iter();
        fields
            .map(|field| self.of_field(field, like.and_then(|like| like.field_by_name(&field.name))))
            .collect()
    }

    fn of_field(&mut self, field: &NestedField, like: Option<&NestedFieldRef>) -> NestedFieldRef {
        let like = like.filter(|like| is_same(&like.field_type, &field.field_type));
        let id = match like {
            Some(like) => like.id,
            None => {
                self.last += 1;
                self.last
            }
        };
        Arc::new(NestedField {
            id,
            field_type: Box::new(self.of_type(&field.field_type, like.map(|like| like.field_type.as_ref()))),
            ..field.clone()
        })
    }

    fn of_type(&mut self, ty: &Type, like: Option<&Type>) -> Type {
        match (ty, like) {
            (Type::Primitive(primitive), _) => Type::Primitive(primitive.clone()),
            (Type::Struct(fields), like) => {
                let like = match like {
                    Some(Type::Struct(like)) => Some(like),
                    _ => None,
                };
                Type::Struct(StructType::new(self.of_struct(fields, like)))
            }
            (Type::List(list), like) => {
                let like = match like {
                    Some(Type::List(like)) => Some(&like.element_field),
                    _ => None,
                };
                Type::List(ListType::new(self.of_field(&list.element_field, like)))
            }
            (Type::Map(map), like) => {
                let (key, value) = match like {
                    Some(Type::Map(like)) => (Some(&like.key_field), Some(&like.value_field)),
                    _ => (None, None),
                };
                Type::Map(MapType::new(
                    self.of_field(&map.key_field, key),
                    self.of_field(&map.value_field, value),
                ))
            }
        }
    }
}

/// Whether values of `was` can be read as `is`, which for nested types their parts decide.
fn is_same(was: &Type, is: &Type) -> bool {
    match (was, is) {
        (Type::Primitive(was), Type::Primitive(is)) => promotes(was, is),
        (Type::Struct(_), Type::Struct(_)) | (Type::List(_), Type::List(_)) => true,
        // A map's key may not change at all.
        (Type::Map(was), Type::Map(is)) => was.key_field.field_type == is.key_field.field_type,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use iceberg::TableCreation;
    use iceberg::spec::{PrimitiveType, TableMetadataBuilder};

    use super::*;

    fn optional(id: i32, name: &str, ty: impl Into<Type>) -> NestedFieldRef {
        Arc::new(NestedField::optional(id, name, ty.into()))
    }

    fn table(fields: Vec<NestedFieldRef>) -> TableMetadata {
        let creation = TableCreation::builder()
            .name("orders".to_owned())
            .location("file:///lake/orders".to_owned())
            .schema(Schema::builder().with_fields(fields).build().unwrap())
            .build();
        TableMetadataBuilder::from_table_creation(creation)
            .unwrap()
            .build()
            .unwrap()
            .metadata
    }

    #[test]
    fn columns_of_the_original_keep_their_ids_and_others_get_new_ones() {
        let inner = StructType::new(vec![optional(4, "zip", PrimitiveType::String)]);
        let original = table(vec![
            optional(1, "id", PrimitiveType::Int),
            optional(2, "total", PrimitiveType::String),
            optional(3, "shipping", Type::Struct(inner)),
        ]);
        // The ids of a schema that was inferred anew are those of its order.
        let inner = StructType::new(vec![
            optional(2, "city", PrimitiveType::String),
            optional(3, "zip", PrimitiveType::String),
        ]);
        let schema = Schema::builder()
            .with_fields(vec![
                optional(1, "shipping", Type::Struct(inner)),
                optional(4, "total", PrimitiveType::Double),
                optional(5, "id", PrimitiveType::Long),
            ])
            .build()
            .unwrap();
        let like = ids_of(&original, &schema).unwrap();
        let ids = |name: &str| like.field_id_by_name(name);
        assert_eq!(ids("id"), Some(1), "promoted");
        assert_eq!(ids("total"), Some(6), "of another type");
        assert_eq!(ids("shipping"), Some(3));
        assert_eq!(ids("shipping.zip"), Some(4));
        assert_eq!(ids("shipping.city"), Some(5));
    }
}
