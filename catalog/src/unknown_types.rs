//! Columns of types that the `iceberg` crate does not know, such as `variant`, because of which it cannot read a table's
//! metadata at all.

use iceberg::spec::PrimitiveType;
use serde_json::Value;

/// The columns of the current schema in a metadata file, such as `payload (variant)` or `place.shape (geometry)`. None: if the
/// file can't be read, it has another reason.
pub fn of(metadata: &[u8]) -> Vec<String> {
    let Ok(metadata) = serde_json::from_slice::<Value>(metadata) else {
        return Vec::new();
    };
    let current = &metadata["current-schema-id"];
    let schema = metadata["schemas"]
        .as_array()
        .and_then(|schemas| schemas.iter().find(|schema| schema["schema-id"] == *current));
    let mut found = Vec::new();
    if let Some(schema) = schema {
        look(schema, "", &mut found);
    }
    found
}

fn look(ty: &Value, name: &str, found: &mut Vec<String>) {
    let inner = |part: &str| match name {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    match ty {
        Value::String(simple) => {
            if serde_json::from_value::<PrimitiveType>(ty.clone()).is_err() {
                found.push(format!("{name} ({simple})"));
            }
        }
        _ => {
            for field in ty["fields"].as_array().into_iter().flatten() {
                look(
                    &field["type"],
                    &inner(field["name"].as_str().unwrap_or("?")),
                    found,
                );
            }
            for part in ["element", "key", "value"] {
                if let Some(ty) = ty.get(part) {
                    look(ty, &inner(part), found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_wherever_they_stand() {
        let schema = |payload: &str| {
            serde_json::json!({
                "current-schema-id": 1,
                "schemas": [
                    { "schema-id": 0, "type": "struct", "fields": [{ "id": 1, "name": "old", "type": "variant" }] },
                    { "schema-id": 1, "type": "struct", "fields": [
                        { "id": 1, "name": "id", "type": "long" },
                        { "id": 2, "name": "price", "type": "decimal(9, 2)" },
                        { "id": 3, "name": "payload", "type": payload },
                        { "id": 4, "name": "places", "type": { "type": "list", "element-id": 5, "element": {
                            "type": "struct", "fields": [{ "id": 6, "name": "shape", "type": "geometry(srid:4326)" }],
                        } } },
                        { "id": 7, "name": "by_name", "type": {
                            "type": "map", "key-id": 8, "key": "string", "value-id": 9, "value": "unknown",
                        } },
                    ] },
                ],
            })
            .to_string()
        };
        assert_eq!(
            of(schema("variant").as_bytes()),
            [
                "payload (variant)",
                "places.element.shape (geometry(srid:4326))",
                "by_name.value (unknown)"
            ]
        );
        assert_eq!(of(schema("uuid").as_bytes()).len(), 2);
        assert_eq!(of(b"{"), [""; 0]);
        assert_eq!(of(b"{}"), [""; 0]);
    }
}
