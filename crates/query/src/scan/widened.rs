//! Columns whose type has become a wider one since files were written.
//!
//! Iceberg's planning reads the bounds and partition values of a manifest in the types of the schema that the manifest
//! was written with, and a value of one type equals, precedes and follows none of another: files that hold wanted rows
//! would be pruned, and deletes would not find their files.

use iceberg::spec::{
    ManifestContentType, ManifestList, PartitionSpec, PrimitiveType, TableMetadata, Transform, Type,
};

/// Whether a manifest may have the column `id`, which is of type `ty` now, with another type.
pub fn may_be_widened(metadata: &TableMetadata, id: i32, ty: &PrimitiveType) -> bool {
    if !matches!(
        ty,
        PrimitiveType::Long | PrimitiveType::Double | PrimitiveType::Decimal { .. }
    ) {
        return false;
    }
    let ids = metadata.schemas_iter().map(|schema| schema.schema_id());
    // Schemas that are gone from the metadata may still stand in manifests.
    let complete = ids.max().map(|newest| newest + 1) == i32::try_from(metadata.schemas_iter().len()).ok();
    let same = metadata
        .schemas_iter()
        .filter_map(|schema| schema.field_by_id(id))
        .all(|field| matches!(field.field_type.as_ref(), Type::Primitive(then) if then == ty));
    !(complete && same)
}

/// A column that partitions delete files by its value, and that may be widened.
pub fn partitions_deletes(metadata: &TableMetadata, list: &ManifestList) -> Option<String> {
    let deletes = list.entries().iter();
    let mut specs = deletes
        .filter(|manifest| manifest.content == ManifestContentType::Deletes)
        .filter_map(|manifest| metadata.partition_spec_by_id(manifest.partition_spec_id));
    specs.find_map(|spec| widened_source(metadata, spec))
}

fn widened_source(metadata: &TableMetadata, spec: &PartitionSpec) -> Option<String> {
    let by_value = spec
        .fields()
        .iter()
        .filter(|field| matches!(field.transform, Transform::Identity | Transform::Truncate(_)));
    by_value
        .filter_map(|field| metadata.current_schema().field_by_id(field.source_id))
        .find(|column| match column.field_type.as_ref() {
            Type::Primitive(ty) => may_be_widened(metadata, column.id, ty),
            _ => false,
        })
        .map(|column| column.name.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use iceberg::spec::{FormatVersion, NestedField, Schema, SortOrder, TableMetadataBuilder};

    use super::*;

    fn schema(first: PrimitiveType) -> Schema {
        let field = |id, name: &str, ty| Arc::new(NestedField::optional(id, name, Type::Primitive(ty)));
        Schema::builder()
            .with_fields([field(1, "a", first), field(2, "b", PrimitiveType::Long)])
            .build()
            .unwrap()
    }

    #[test]
    fn only_the_column_that_was_widened_is_named() {
        let (int, long) = (PrimitiveType::Int, PrimitiveType::Long);
        let made = TableMetadataBuilder::new(
            schema(int),
            PartitionSpec::unpartition_spec(),
            SortOrder::unsorted_order(),
            "file:///t".to_owned(),
            FormatVersion::V2,
            HashMap::new(),
        );
        let before = made.unwrap().build().unwrap().metadata;
        assert!(!may_be_widened(&before, 2, &long));
        let changed = before.into_builder(None).add_current_schema(schema(long.clone()));
        let after = changed.unwrap().build().unwrap().metadata;
        assert!(may_be_widened(&after, 1, &long));
        assert!(!may_be_widened(&after, 2, &long));
    }
}
