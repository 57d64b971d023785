//! Manifests: how many there are, and how many a query opens.

use std::mem::discriminant;

use iceberg::spec::{
    Datum, FieldSummary, Literal, ManifestContentType, ManifestFile, PrimitiveLiteral, PrimitiveType, Struct,
    Type,
};
use serde::Serialize;
use tabletopic_table::snapshot::deletes::Place;

use crate::survey::Survey;

/// Partition values that are asked for; of more, so many that are spread over all.
const ASKED: usize = 1_000;

/// The manifests of the table's snapshot.
#[derive(Debug, Default, Serialize)]
pub struct Manifests {
    pub data: u64,
    pub deletes: u64,
    pub bytes: u64,
    /// What a query of one partition value opens of them, by their bounds, on average. Those of other partition specs are
    /// not counted.
    pub opened_for_one_partition: f64,
}

impl Manifests {
    pub fn of(survey: &Survey) -> Self {
        let of_deletes = |manifest: &&ManifestFile| manifest.content == ManifestContentType::Deletes;
        let deletes = survey.manifests.iter().filter(of_deletes).count();
        let bytes = survey.manifests.iter().map(|manifest| manifest.manifest_length);
        Self {
            data: (survey.manifests.len() - deletes) as u64,
            deletes: deletes as u64,
            bytes: bytes.filter_map(|bytes| u64::try_from(bytes).ok()).sum(),
            opened_for_one_partition: opened(survey),
        }
    }
}

fn opened(survey: &Survey) -> f64 {
    let step = survey.partitions.len().div_ceil(ASKED).max(1);
    let asked: Vec<&Place> = survey.partitions.keys().step_by(step).collect();
    let opened = asked.iter().map(|place| {
        let types = types(survey, place.0);
        let manifests = survey.manifests.iter();
        let may_hold = |manifest: &&ManifestFile| {
            manifest.partition_spec_id == place.0 && may_hold(manifest, &types, &place.1)
        };
        manifests.filter(may_hold).count()
    });
    let sum: usize = opened.sum();
    sum as f64 / asked.len().max(1) as f64
}

/// Of the fields of a partition spec; empty where one of its columns is gone.
fn types(survey: &Survey, spec_id: i32) -> Vec<PrimitiveType> {
    let metadata = &survey.table.metadata;
    let spec = metadata.partition_spec_by_id(spec_id);
    let of_spec = spec.and_then(|spec| spec.partition_type(metadata.current_schema()).ok());
    let fields = of_spec.iter().flat_map(|of_spec| of_spec.fields());
    let types = fields.map(|field| match field.field_type.as_ref() {
        Type::Primitive(primitive) => Some(primitive.clone()),
        _ => None,
    });
    types.collect::<Option<_>>().unwrap_or_default()
}

/// Whether a manifest of this spec may hold files of a partition value: by the bounds that the manifest list has of each
/// field ("Manifest Lists" in the Iceberg specification).
fn may_hold(manifest: &ManifestFile, types: &[PrimitiveType], partition: &Struct) -> bool {
    let Some(summaries) = &manifest.partitions else {
        return true;
    };
    let fields = partition.iter().zip(types).zip(summaries);
    fields.into_iter().all(|((value, ty), summary)| match value {
        None => summary.contains_null,
        Some(Literal::Primitive(value)) => between(value, ty, summary),
        Some(_) => true,
    })
}

/// What can't be compared may be there.
fn between(value: &PrimitiveLiteral, ty: &PrimitiveType, summary: &FieldSummary) -> bool {
    let bound = |bytes: Option<&[u8]>| {
        let datum = Datum::try_from_bytes(bytes?, ty.clone()).ok()?;
        let bound = datum.literal().clone();
        (discriminant(&bound) == discriminant(value)).then_some(bound)
    };
    let lower = bound(summary.lower_bound.as_ref().map(|bytes| bytes.as_slice()));
    let upper = bound(summary.upper_bound.as_ref().map(|bytes| bytes.as_slice()));
    lower.is_none_or(|lower| lower <= *value) && upper.is_none_or(|upper| *value <= upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(bounds: Option<(i32, i32)>, contains_null: bool) -> FieldSummary {
        let bound = |value: i32| Datum::int(value).to_bytes().unwrap();
        FieldSummary {
            contains_null,
            contains_nan: None,
            lower_bound: bounds.map(|(lower, _)| bound(lower)),
            upper_bound: bounds.map(|(_, upper)| bound(upper)),
        }
    }

    #[test]
    fn a_manifest_may_hold_what_lies_within_its_bounds() {
        let int = |value: i32| PrimitiveLiteral::Int(value);
        let within = |value| between(&int(value), &PrimitiveType::Int, &summary(Some((3, 5)), false));
        assert_eq!([2, 3, 5, 6].map(within), [false, true, true, false]);
        assert!(
            between(&int(9), &PrimitiveType::Int, &summary(None, false)),
            "nothing is known"
        );
        // From before the column was widened: the bounds have four bytes.
        let widened = summary(Some((3, 5)), false);
        let long = |value| between(&PrimitiveLiteral::Long(value), &PrimitiveType::Long, &widened);
        assert_eq!([2, 4].map(long), [false, true]);
    }
}
