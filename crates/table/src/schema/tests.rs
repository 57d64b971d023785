use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, PrimitiveType, Schema, StructType, Type};

use super::{SchemaChange, SchemaError, compatible, differences, evolve, promotes};

fn primitive(ty: PrimitiveType) -> Type {
    Type::Primitive(ty)
}

fn decimal(precision: u32, scale: u32) -> PrimitiveType {
    PrimitiveType::Decimal { precision, scale }
}

/// id long, customer struct<name string>, items list<struct<price int>>, labels map<string, struct<n float>>
fn orders() -> Schema {
    let item = StructType::new(vec![
        NestedField::optional(6, "price", primitive(PrimitiveType::Int)).into(),
        NestedField::optional(7, "tax", primitive(decimal(9, 2))).into(),
    ]);
    let label = StructType::new(vec![
        NestedField::optional(11, "n", primitive(PrimitiveType::Float)).into(),
    ]);
    let customer = StructType::new(vec![
        NestedField::optional(3, "name", primitive(PrimitiveType::String)).into(),
    ]);
    Schema::builder()
        .with_schema_id(4)
        .with_identifier_field_ids([1])
        .with_fields([
            NestedField::required(1, "id", primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "customer", Type::Struct(customer)).into(),
            NestedField::optional(
                4,
                "items",
                Type::List(ListType::new(
                    NestedField::list_element(5, Type::Struct(item), false).into(),
                )),
            )
            .into(),
            NestedField::optional(
                8,
                "labels",
                Type::Map(MapType::new(
                    NestedField::map_key_element(9, primitive(PrimitiveType::String)).into(),
                    NestedField::map_value_element(10, Type::Struct(label), false).into(),
                )),
            )
            .into(),
        ])
        .build()
        .unwrap()
}

fn add(path: &[&str], ty: Type) -> SchemaChange {
    let (name, parent) = path.split_last().unwrap();
    SchemaChange::AddColumn {
        parent: parent.iter().map(ToString::to_string).collect(),
        name: name.to_string(),
        ty,
    }
}

fn widen(path: &[&str], to: PrimitiveType) -> SchemaChange {
    SchemaChange::Widen {
        path: path.iter().map(ToString::to_string).collect(),
        to,
    }
}

fn type_of(schema: &Schema, name: &str) -> Type {
    (*schema
        .field_by_name(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .field_type)
        .clone()
}

#[test]
fn columns_are_added_at_every_depth_with_fresh_ids() {
    let point = Type::Struct(StructType::new(vec![
        // Ids and nullability of what is asked for do not count.
        NestedField::required(1, "x", primitive(PrimitiveType::Double)).into(),
        NestedField::required(
            1,
            "tags",
            Type::List(ListType::new(
                NestedField::list_element(1, primitive(PrimitiveType::String), true).into(),
            )),
        )
        .into(),
    ]));
    let changes = [
        add(&["at"], point),
        add(&["customer", "age"], primitive(PrimitiveType::Int)),
        add(&["items", "element", "sku"], primitive(PrimitiveType::String)),
        add(&["labels", "value", "ok"], primitive(PrimitiveType::Boolean)),
    ];
    // 20: ids 12 to 20 belonged to columns that were dropped.
    let (evolved, last) = evolve(&orders(), 20, &changes).unwrap();

    for (name, id) in [
        ("at", 21),
        ("at.x", 22),
        ("at.tags", 23),
        ("at.tags.element", 24),
        ("customer.age", 25),
        ("items.element.sku", 26),
        ("labels.value.ok", 27),
    ] {
        assert_eq!(evolved.field_id_by_name(name), Some(id), "{name}");
        assert!(!evolved.field_by_id(id).unwrap().required, "{name} is optional");
    }
    assert_eq!(last, 27);
    assert_eq!(evolved.schema_id(), 4);
    assert_eq!(evolved.identifier_field_ids().collect::<Vec<_>>(), [1]);
    for (id, field) in orders().field_id_to_fields() {
        assert_eq!(
            evolved.field_by_id(*id).unwrap().name,
            field.name,
            "what was there keeps its id"
        );
    }
}

#[test]
fn a_change_that_is_already_true_changes_nothing() {
    let changes = [
        add(&["customer", "age"], primitive(PrimitiveType::Long)),
        widen(&["items", "element", "price"], PrimitiveType::Long),
    ];
    let (once, last) = evolve(&orders(), 11, &changes).unwrap();
    assert_eq!(evolve(&once, last, &changes).unwrap(), (once.clone(), last));

    let narrower = [
        add(&["customer", "age"], primitive(PrimitiveType::Int)),
        widen(&["items", "element", "price"], PrimitiveType::Int),
    ];
    assert_eq!(evolve(&once, last, &narrower).unwrap(), (once, last));
}

#[test]
fn two_proposals_for_one_struct_both_land() {
    let with = |name: &str| {
        let field = NestedField::optional(1, name, primitive(PrimitiveType::Long)).into();
        [add(&["geo"], Type::Struct(StructType::new(vec![field])))]
    };
    let (first, last) = evolve(&orders(), 11, &with("lat")).unwrap();
    let (both, last) = evolve(&first, last, &with("lon")).unwrap();
    assert_eq!(both.field_id_by_name("geo.lat"), Some(13));
    assert_eq!(both.field_id_by_name("geo.lon"), Some(14));
    assert_eq!(last, 14);
}

#[test]
fn a_conflicting_column_is_refused_by_name() {
    let error = evolve(
        &orders(),
        11,
        &[add(&["customer", "name"], primitive(PrimitiveType::Long))],
    )
    .unwrap_err();
    assert!(
        matches!(&error, SchemaError::Conflict { column, .. } if column == "customer.name"),
        "{error}"
    );
    let error = evolve(
        &orders(),
        11,
        &[add(
            &["items", "element", "price"],
            primitive(PrimitiveType::Long),
        )],
    );
    assert!(
        matches!(error, Err(SchemaError::Conflict { .. })),
        "wider than the column: it is to be widened first"
    );
}

#[test]
fn widening_follows_the_spec_and_nothing_else() {
    let to = |path: &[&str], ty: PrimitiveType| {
        evolve(&orders(), 11, &[widen(path, ty)]).map(|(schema, last)| {
            assert_eq!(last, 11);
            type_of(&schema, &path.join("."))
        })
    };
    assert_eq!(
        to(&["items", "element", "price"], PrimitiveType::Long).unwrap(),
        primitive(PrimitiveType::Long)
    );
    assert_eq!(
        to(&["labels", "value", "n"], PrimitiveType::Double).unwrap(),
        primitive(PrimitiveType::Double)
    );
    assert_eq!(
        to(&["items", "element", "tax"], decimal(12, 2)).unwrap(),
        primitive(decimal(12, 2))
    );

    let error = to(&["id"], PrimitiveType::Double).unwrap_err();
    assert!(
        error.to_string().contains("`id` cannot go from long to double"),
        "{error}"
    );
    assert!(to(&["items", "element", "tax"], decimal(12, 3)).is_err());
    assert!(to(&["customer", "name"], PrimitiveType::Binary).is_err());
    assert!(matches!(
        to(&["labels", "key"], PrimitiveType::Binary),
        Err(SchemaError::NotAParent { .. })
    ));
    assert!(matches!(
        to(&["nope"], PrimitiveType::Long),
        Err(SchemaError::NoSuchColumn { .. })
    ));
    assert!(matches!(
        to(&["id", "x"], PrimitiveType::Long),
        Err(SchemaError::NotAParent { .. })
    ));
}

#[test]
fn promotion_has_no_way_back() {
    for (narrow, wide) in [
        (PrimitiveType::Int, PrimitiveType::Long),
        (PrimitiveType::Float, PrimitiveType::Double),
        (decimal(9, 2), decimal(10, 2)),
    ] {
        assert!(promotes(&narrow, &wide) && promotes(&wide, &wide) && !promotes(&wide, &narrow));
    }
}

#[test]
fn files_fit_a_schema_that_only_grew() {
    let changes = [
        add(&["customer", "age"], primitive(PrimitiveType::Int)),
        widen(&["items", "element", "price"], PrimitiveType::Long),
    ];
    let (evolved, _) = evolve(&orders(), 11, &changes).unwrap();
    compatible(&orders(), &evolved).unwrap();
    let refused = compatible(&evolved, &orders()).unwrap_err();
    assert!(matches!(refused, SchemaError::Retyped { id: 6, .. }), "{refused}");
}

#[test]
fn files_do_not_fit_when_a_column_is_gone_or_required() {
    let field = |field: NestedField| Arc::new(field);
    let schema = |fields: Vec<NestedField>| {
        Schema::builder()
            .with_fields(fields.into_iter().map(field))
            .build()
            .unwrap()
    };
    let a = || NestedField::optional(1, "a", primitive(PrimitiveType::Long));
    let b = || NestedField::optional(2, "b", primitive(PrimitiveType::Long));
    let written = schema(vec![a(), b()]);

    let dropped = compatible(&written, &schema(vec![a()])).unwrap_err();
    assert!(
        matches!(&dropped, SchemaError::Dropped { id: 2, column, .. } if column == "b"),
        "{dropped}"
    );

    let renamed = NestedField::optional(2, "c", primitive(PrimitiveType::Long));
    compatible(&written, &schema(vec![a(), renamed])).unwrap();

    let required = NestedField::required(2, "b", primitive(PrimitiveType::Long));
    assert!(matches!(
        compatible(&written, &schema(vec![a(), required])),
        Err(SchemaError::Required { id: 2, .. })
    ));

    let new = NestedField::required(3, "c", primitive(PrimitiveType::Long));
    assert!(matches!(
        compatible(&written, &schema(vec![a(), b(), new])),
        Err(SchemaError::Required { id: 3, .. })
    ));

    let inside_new = StructType::new(vec![
        NestedField::required(4, "x", primitive(PrimitiveType::Long)).into(),
    ]);
    let new = NestedField::optional(3, "c", Type::Struct(inside_new));
    compatible(&written, &schema(vec![a(), b(), new])).unwrap();
}

#[test]
fn no_new_column_has_another_s_path_but_for_case() {
    let long = || primitive(PrimitiveType::Long);
    for (path, column, taken) in [
        (&["ID"][..], "ID", "id"),
        (&["customer", "Name"], "customer.Name", "customer.name"),
        (
            &["items", "element", "PRICE"],
            "items.element.PRICE",
            "items.element.price",
        ),
        // Readers find nested fields by dotted paths.
        (&["Customer.name"], "Customer.name", "customer.name"),
    ] {
        match evolve(&orders(), 11, &[add(path, long())]) {
            Err(SchemaError::NameTaken { column: c, taken: t }) => assert_eq!((&*c, &*t), (column, taken)),
            other => panic!("{path:?}: {other:?}"),
        }
    }
    let both = [add(&["a"], long()), add(&["A"], long())];
    assert!(matches!(
        evolve(&orders(), 11, &both),
        Err(SchemaError::NameTaken { .. })
    ));

    // A table that has such columns already still grows.
    let fields = [(1, "a"), (2, "A")].map(|(id, name)| NestedField::optional(id, name, long()).into());
    let table = Schema::builder().with_fields(fields).build().unwrap();
    assert!(evolve(&table, 2, &[add(&["b"], long())]).is_ok());
}

#[test]
fn differences_are_told_by_path_and_only_the_outermost() {
    let changes = [
        add(&["items", "element", "sku"], primitive(PrimitiveType::String)),
        widen(&["labels", "value", "n"], PrimitiveType::Double),
        add(
            &["geo"],
            Type::Struct(StructType::new(vec![
                NestedField::optional(1, "lat", primitive(PrimitiveType::Double)).into(),
            ])),
        ),
    ];
    let (evolved, _) = evolve(&orders(), 11, &changes).unwrap();
    assert_eq!(
        differences(&orders(), &evolved),
        [
            "add column items.element.sku string",
            "widen column labels.value.n from float to double",
            "add column geo struct<lat: double>",
        ]
    );
    assert_eq!(
        differences(&evolved, &orders()),
        [
            "change column labels.value.n from double to float",
            "drop column items.element.sku",
            "drop column geo",
        ]
    );
    assert!(differences(&evolved, &evolved).is_empty());
}

#[test]
fn what_others_may_do_to_a_column_is_told_as_well() {
    let with = |fields: Vec<NestedField>| {
        Schema::builder()
            .with_fields(fields.into_iter().map(Arc::new))
            .build()
            .unwrap()
    };
    let before = with(vec![
        NestedField::required(1, "a", primitive(PrimitiveType::Int)),
        NestedField::optional(2, "b", primitive(PrimitiveType::Int)),
    ]);
    let after = with(vec![
        NestedField::optional(1, "c", primitive(PrimitiveType::Long)),
        NestedField::required(2, "b", primitive(PrimitiveType::Int)),
    ]);
    assert_eq!(
        differences(&before, &after),
        [
            "rename column a to c",
            "widen column c from int to long",
            "make column c optional",
            "make column b required",
        ]
    );
    let turned = with(
        before
            .as_struct()
            .fields()
            .iter()
            .rev()
            .map(|field| (**field).clone())
            .collect(),
    );
    assert_eq!(
        differences(&before, &turned),
        ["change the order or the descriptions of columns"]
    );
}

fn parts(path: &[&str]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

fn rename(path: &[&str], to: &str) -> SchemaChange {
    SchemaChange::Rename {
        path: parts(path),
        to: to.to_owned(),
    }
}

#[test]
fn a_renamed_column_keeps_its_id_wherever_it_stands() {
    let changes = [
        rename(&["items", "element", "price"], "amount"),
        rename(&["items"], "positions"),
        rename(&["id"], "ID"),
    ];
    let (evolved, last) = evolve(&orders(), 11, &changes).unwrap();
    let name = |id| evolved.name_by_field_id(id).unwrap();
    assert_eq!(
        (name(6), name(4), name(1), last),
        ("positions.element.amount", "positions", "ID", 11)
    );
    compatible(&orders(), &evolved).unwrap();
    assert_eq!(
        evolve(&evolved, last, &changes[1..]).unwrap(),
        (evolved.clone(), last)
    );

    for (change, column, taken) in [
        (rename(&["id"], "items"), "items", "items"),
        (rename(&["id"], "Customer"), "Customer", "customer"),
        (
            rename(&["items", "element", "tax"], "Price"),
            "items.element.Price",
            "items.element.price",
        ),
        (rename(&["id"], "customer.name"), "customer.name", "customer.name"),
    ] {
        match evolve(&orders(), 11, &[change]) {
            Err(SchemaError::NameTaken { column: c, taken: t }) => assert_eq!((&*c, &*t), (column, taken)),
            // The crate refuses two fields of one name by itself.
            Err(SchemaError::Invalid(_)) if column == taken => {}
            other => panic!("{column}: {other:?}"),
        }
    }
    assert!(matches!(
        evolve(&orders(), 11, &[rename(&["labels", "value"], "x")]),
        Err(SchemaError::NotAParent { .. })
    ));
}

#[test]
fn what_is_required_becomes_optional_wherever_it_stands() {
    let element = NestedField::list_element(3, primitive(PrimitiveType::Int), true).into();
    let list = Type::List(ListType::new(element));
    let table = Schema::builder()
        .with_fields([
            NestedField::required(1, "a", primitive(PrimitiveType::Int)).into(),
            NestedField::required(2, "b", list).into(),
        ])
        .build()
        .unwrap();
    let changes =
        [&["a"][..], &["b", "element"]].map(|path| SchemaChange::MakeOptional { path: parts(path) });
    let (evolved, last) = evolve(&table, 3, &changes).unwrap();
    let required = [1, 2, 3].map(|id| evolved.field_by_id(id).unwrap().required);
    assert_eq!((required, last), ([false, true, false], 3));
    compatible(&table, &evolved).unwrap();
}
