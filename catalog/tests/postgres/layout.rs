//! The two tables: who makes them, and which rows of them are ours.

use iceberg::{NamespaceIdent, TableIdent};
use tabletopic_catalog::conformance::{self, new_table};
use tabletopic_catalog::{Catalog, CatalogError};

use crate::{Lake, look, open, run};

#[tokio::test]
async fn several_processes_that_start_at_once_make_the_tables_once() {
    let lake = Lake::new("makers");
    let (a, b, c, d) = tokio::join!(
        open(lake.options()),
        open(lake.options()),
        open(lake.options()),
        open(lake.options())
    );
    for opened in [a, b, c, d] {
        opened.unwrap();
    }
    conformance::namespaces(&lake.catalog().await).await;
}

#[tokio::test]
async fn who_only_looks_makes_nothing() {
    let lake = Lake::new("looked-at");
    assert!(look(lake.options()).await.unwrap().is_none());
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut lake.foreign().await)
        .await
        .unwrap();
    assert_eq!(tables, 0);
    let table = new_table(&lake.catalog().await, "shop").await;
    let looking = look(lake.options()).await.unwrap().unwrap();
    assert_eq!(
        looking.load(&table.ident).await.unwrap().metadata_location,
        table.metadata_location
    );
}

#[tokio::test]
async fn version_0_of_the_layout_is_read_and_written() {
    let lake = Lake::new("v0");
    // As Iceberg's Java makes them by default.
    run(
        &mut lake.foreign().await,
        "SET ROLE lake;
         CREATE TABLE iceberg_tables (
             catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
             table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000),
             previous_metadata_location VARCHAR(1000), PRIMARY KEY (catalog_name, table_namespace, table_name));
         CREATE TABLE iceberg_namespace_properties (
             catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255),
             property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key))",
    )
    .await;
    conformance::conformance(&lake.catalog().await).await;
}

#[tokio::test]
async fn views_and_other_catalogs_in_the_database_are_not_ours() {
    let lake = Lake::new("others");
    let ours = lake.catalog().await;
    let table = new_table(&ours, "shop").await;
    run(
        &mut lake.foreign().await,
        "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
         VALUES ('test', 'shop', 'v', 'file:///v', 'VIEW'), ('else', 'elsewhere', 't', 'file:///t', 'TABLE')",
    )
    .await;
    let shop = NamespaceIdent::new("shop".to_owned());
    assert_eq!(ours.list_tables(&shop).await.unwrap(), [table.ident]);
    assert_eq!(ours.list_namespaces().await.unwrap(), std::slice::from_ref(&shop));
    let view = ours.load(&TableIdent::new(shop, "v".to_owned())).await;
    assert!(matches!(view, Err(CatalogError::NotFound { .. })), "{view:?}");
}

#[tokio::test]
async fn names_that_the_layout_does_not_hold_are_refused() {
    let lake = Lake::new("names");
    let catalog = lake.catalog().await;
    for name in ["x".repeat(300), "a\0b".to_owned()] {
        let refused = catalog
            .create_namespace(&NamespaceIdent::new(name))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, CatalogError::Rejected { ref reason, .. } if reason.contains("columns of the layout")),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_tables_may_be_in_any_schema_of_the_search_path() {
    let lake = Lake::new("schema");
    run(
        &mut lake.foreign().await,
        &format!(
            "CREATE SCHEMA iceberg AUTHORIZATION lake;
             ALTER ROLE lake IN DATABASE \"{}\" SET search_path = iceberg, public",
            lake.database
        ),
    )
    .await;
    new_table(&lake.catalog().await, "shop").await;
    let schema: String =
        sqlx::query_scalar("SELECT schemaname::text FROM pg_tables WHERE tablename = 'iceberg_tables'")
            .fetch_one(&mut lake.foreign().await)
            .await
            .unwrap();
    assert_eq!(schema, "iceberg");
}
