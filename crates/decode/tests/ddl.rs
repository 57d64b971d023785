//! DDL texts to Iceberg fields, and errors that say where.

use tabletopic_decode::{DecodeSettings, Format, create_schema, parse_ddl};

#[test]
fn every_type_has_its_iceberg_type() {
    let sql = "-- a comment
        CREATE TABLE shop.orders (
            a BOOLEAN, b INT, c BIGINT NOT NULL, d REAL, e FLOAT, f DOUBLE, g DOUBLE PRECISION,
            h DECIMAL(18, 2), i DATE, j TIME, k TIMESTAMP, l TIMESTAMPTZ, m TIMESTAMP WITH TIME ZONE,
            n VARCHAR, o TEXT, p STRING, q BINARY, r BYTEA, s UUID, t BINARY(16),
            u STRUCT<x INT, y STRUCT<z VARCHAR>>, v ARRAY<INT>, w INT[], x MAP(VARCHAR, BIGINT)
        );";
    let fields = parse_ddl(sql).unwrap();
    let types: Vec<String> = fields
        .iter()
        .take(20)
        .map(|field| field.field_type.to_string())
        .collect();
    let expected = [
        "boolean",
        "int",
        "long",
        "float",
        "float",
        "double",
        "double",
        "decimal(18, 2)",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "timestamptz",
        "string",
        "string",
        "string",
        "binary",
        "binary",
        "uuid",
        "fixed(16)",
    ];
    assert_eq!(types, expected);
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(required, ["c"]);

    // Ids go level by level, as Iceberg gives them, and every nested field is found by its path.
    let schema = create_schema(&fields, &DecodeSettings::new("orders", Format::Json)).unwrap();
    let top = schema.as_struct().fields().len() as i32;
    assert_eq!(top, 24 + 3);
    assert!((1..=top).eq(schema.as_struct().fields().iter().map(|field| field.id)));
    for path in [
        "u.y.z",
        "v.element",
        "w.element",
        "x.key",
        "x.value",
        "_kafka_offset",
    ] {
        assert!(schema.field_by_name(path).is_some(), "{path}");
    }
    assert_eq!(schema.highest_field_id(), top + 2 + 1 + 1 + 1 + 2);
}

#[test]
fn types_are_not_nested_deeper_than_the_metadata_can_be_read() {
    for nest in ["STRUCT<a #>", "ARRAY<#>", "MAP(VARCHAR, #)"] {
        let column = |levels: usize| (0..levels).fold("INT".to_owned(), |inner, _| nest.replace('#', &inner));
        let table = |levels| format!("CREATE TABLE t (\n  a {}\n)", column(levels));
        // The table itself is one level.
        assert!(parse_ddl(&table(31)).is_ok(), "{nest}");
        let error = parse_ddl(&table(32)).unwrap_err();
        assert_eq!((error.line, error.column), (2, 3), "{error}");
        assert!(error.problem.contains("nested 33 deep"), "{error}");
    }
}

#[test]
fn errors_say_where() {
    let cases = [
        (
            "CREATE TABLE t (\n  a INT,\n  b VARCHAR(10)\n)",
            3,
            3,
            "no length",
        ),
        ("CREATE TABLE t (\n  a INT,\n  A BIGINT\n)", 3, 3, "twice"),
        ("CREATE TABLE t (\n  a DECIMAL\n)", 2, 3, "precision and scale"),
        ("CREATE TABLE t (\n  a INT PRIMARY KEY\n)", 2, 3, "PRIMARY KEY"),
        ("CREATE TABLE t (\n  a JSON\n)", 2, 3, "no Iceberg type"),
        (
            "CREATE TABLE t (\n  a STRUCT<b JSON>\n)",
            2,
            12,
            "no Iceberg type",
        ),
        ("CREATE TABLE t (\n  a INT,,\n)", 2, 9, "Expected"),
        ("CREATE TABLE t (\n  a 'INT\n)", 2, 5, "Unterminated"),
        ("SELECT 1", 1, 1, "CREATE TABLE"),
        ("", 1, 1, "CREATE TABLE"),
    ];
    for (sql, line, column, problem) in cases {
        let error = parse_ddl(sql).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{sql}: {error}");
        assert!(error.problem.contains(problem), "{error}");
    }
}
