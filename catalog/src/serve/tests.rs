//! Requests and their answers, over a catalog in an SQLite file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request};
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use iceberg::{NamespaceIdent, TableCreation, TableIdent};
use serde_json::{Value, json};
use tabletopic_clock::{ManualClock, OsEntropy};
use tempfile::TempDir;

use super::RestCatalog;
use crate::{
    Catalog, CatalogError, CommitOutcome, LoadedTable, NamespaceChange, ServedCatalog, SqliteCatalog,
    SqliteOptions, TableChange, TableCommit,
};

struct Server {
    folder: TempDir,
    catalog: Arc<SqliteCatalog>,
    rest: RestCatalog,
    clock: Arc<ManualClock>,
}

impl Server {
    async fn start() -> Self {
        Self::over(|catalog| catalog).await
    }

    /// One that is served through something.
    async fn over<S: ServedCatalog + 'static>(through: impl FnOnce(Arc<SqliteCatalog>) -> Arc<S>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = format!("file://{}/warehouse", folder.path().display());
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let options = SqliteOptions {
            name: "lake".to_owned(),
            path: folder.path().join("catalog.db"),
            warehouse: warehouse.clone(),
            busy_timeout: Duration::from_secs(5),
            commit_timeout: Duration::from_secs(30),
        };
        let file_io = FileIO::new_with_fs();
        let catalog = SqliteCatalog::open(options, file_io.clone(), clock.clone(), Arc::new(OsEntropy));
        let catalog = Arc::new(catalog.await.unwrap());
        let served = through(catalog.clone());
        let rest = RestCatalog::new(served, &warehouse, Vec::new(), file_io, clock.clone());
        Self {
            folder,
            catalog,
            rest,
            clock,
        }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let response = self.rest.answer(request).await.response;
        Reply {
            status: response.status().as_u16(),
            etag: response
                .headers()
                .get("etag")
                .map(|tag| tag.to_str().unwrap().to_owned()),
            retry_after: response.headers().contains_key("retry-after"),
            body: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], &body.to_string()).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// The namespace `shop` with the table `t` in it.
    async fn with_table() -> Self {
        Self::start().await.made().await
    }

    async fn made(self) -> Self {
        self.post("/v1/namespaces", json!({ "namespace": ["shop"] }))
            .await
            .is(200);
        self.post(TABLES, creation("t")).await.is(200);
        self
    }

    async fn snapshots(&self, table: &str) -> usize {
        let namespace = NamespaceIdent::new("shop".to_owned());
        let ident = TableIdent::new(namespace, table.to_owned());
        self.catalog
            .load(&ident)
            .await
            .unwrap()
            .metadata
            .snapshots()
            .len()
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    etag: Option<String>,
    retry_after: bool,
    body: Value,
}

impl Reply {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// A refusal in the specification's error model.
    #[track_caller]
    fn refused(&self, status: u16, kind: &str) -> &str {
        let error = &self.body["error"];
        assert_eq!(
            (self.status, error["code"].as_u64()),
            (status, Some(u64::from(status))),
            "{self:#?}"
        );
        assert_eq!(error["type"], kind, "{self:#?}");
        error["message"].as_str().unwrap()
    }
}

const TABLES: &str = "/v1/namespaces/shop/tables";
const TABLE: &str = "/v1/namespaces/shop/tables/t";

fn creation(name: &str) -> Value {
    json!({
        "name": name,
        "schema": { "type": "struct", "schema-id": 0, "fields": [
            { "id": 7, "name": "id", "required": true, "type": "long" } ] },
        "properties": { "format-version": "2", "owner": "Ann" },
    })
}

/// A commit that adds a snapshot on top of `parent`.
fn append(id: i64, parent: Option<i64>, sequence: i64) -> Value {
    let mut snapshot = json!({
        "snapshot-id": id,
        "sequence-number": sequence,
        "timestamp-ms": 1_700_000_000_000_i64 + sequence,
        "manifest-list": format!("memory:///snap-{id}.avro"),
        "summary": { "operation": "append" },
        "schema-id": 0,
    });
    if let Some(parent) = parent {
        snapshot["parent-snapshot-id"] = parent.into();
    }
    json!({
        "requirements": [{ "type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": parent }],
        "updates": [
            { "action": "add-snapshot", "snapshot": snapshot },
            { "action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id },
        ],
    })
}

#[tokio::test]
async fn the_configuration_lists_what_is_served_and_knows_one_warehouse() {
    let server = Server::start().await;
    let warehouse = format!("file://{}/warehouse/", server.folder.path().display());
    for path in [
        "/v1/config".to_owned(),
        "/v1/config?warehouse=".to_owned(),
        "/v1/config?warehouse=lake".to_owned(),
        format!("/v1/config?warehouse={warehouse}"),
    ] {
        let reply = server.get(&path).await.is(200);
        assert_eq!(reply.body["endpoints"].as_array().unwrap().len(), 16);
        assert_eq!(reply.body["idempotency-key-lifetime"], "PT30M");
    }
    let other = server.get("/v1/config?warehouse=other").await;
    assert!(other.refused(404, "NoSuchWarehouseException").contains("other"));
}

#[tokio::test]
async fn namespaces_come_in_levels_and_pages() {
    let server = Server::start().await;
    for levels in [
        vec!["b"],
        vec!["a"],
        vec!["c"],
        vec!["a", "x"],
        vec!["a", "y"],
        vec!["a", "x", "z"],
    ] {
        let created = server
            .post("/v1/namespaces", json!({ "namespace": levels }))
            .await;
        assert_eq!(created.is(200).body["namespace"], json!(levels));
    }
    let top = server.get("/v1/namespaces").await.is(200);
    assert_eq!(top.body["namespaces"], json!([["a"], ["b"], ["c"]]));
    let inner = server.get("/v1/namespaces?parent=a").await.is(200);
    assert_eq!(inner.body["namespaces"], json!([["a", "x"], ["a", "y"]]));
    let inner = server.get("/v1/namespaces?parent=a%1Fx").await.is(200);
    assert_eq!(inner.body["namespaces"], json!([["a", "x", "z"]]));
    let first = server.get("/v1/namespaces?pageToken=&pageSize=2").await.is(200);
    assert_eq!(first.body["namespaces"], json!([["a"], ["b"]]));
    let next = first.body["next-page-token"].as_str().unwrap();
    let second = server
        .get(&format!("/v1/namespaces?pageToken={next}&pageSize=2"))
        .await
        .is(200);
    assert_eq!(second.body["namespaces"], json!([["c"]]));
    assert_eq!(second.body["next-page-token"], Value::Null);
    server
        .get("/v1/namespaces?parent=absent")
        .await
        .refused(404, "NoSuchNamespaceException");
    for wrong in ["pageSize=0", "pageSize=many", "pageToken=%25", "parent=a%1F"] {
        let reply = server.get(&format!("/v1/namespaces?{wrong}")).await;
        reply.refused(400, "BadRequestException");
    }
}

#[tokio::test]
async fn properties_of_namespaces_are_changed_and_missing_ones_are_told() {
    let server = Server::start().await;
    let create = json!({ "namespace": ["shop"], "properties": { "owner": "Ann", "cost": "7" } });
    server.post("/v1/namespaces", create.clone()).await.is(200);
    server
        .post("/v1/namespaces", create)
        .await
        .refused(409, "AlreadyExistsException");
    let change = json!({ "removals": ["cost", "absent"], "updates": { "owner": "Bob" } });
    let changed = server
        .post("/v1/namespaces/shop/properties", change)
        .await
        .is(200);
    assert_eq!(
        changed.body,
        json!({ "updated": ["owner"], "removed": ["cost"], "missing": ["absent"] })
    );
    let loaded = server.get("/v1/namespaces/shop").await.is(200);
    assert_eq!(loaded.body["properties"], json!({ "owner": "Bob" }));
    let both = json!({ "removals": ["owner"], "updates": { "owner": "Eve" } });
    server
        .post("/v1/namespaces/shop/properties", both)
        .await
        .refused(422, "UnprocessableEntityException");
    server.post(TABLES, creation("t")).await.is(200);
    server
        .delete("/v1/namespaces/shop")
        .await
        .refused(409, "NamespaceNotEmptyException");
    server.delete(TABLE).await.is(204);
    server.delete("/v1/namespaces/shop").await.is(204);
    server
        .send(Method::HEAD, "/v1/namespaces/shop", &[], "")
        .await
        .is(404);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_in_the_error_model() {
    let server = Server::with_table().await;
    for (path, body) in [
        (TABLES, "{"),
        (TABLES, r#"{"name": "u"}"#),
        (
            TABLES,
            r#"{"name": "", "schema": {"type": "struct", "schema-id": 0, "fields": []}}"#,
        ),
        (TABLE, r#"{"requirements": [], "updates": [{"action": "fly"}]}"#),
        (
            TABLE,
            r#"{"requirements": [{"type": "assert-weather"}], "updates": []}"#,
        ),
        (
            "/v1/transactions/commit",
            r#"{"table-changes": [{"requirements": [], "updates": []}]}"#,
        ),
        ("/v1/namespaces", r#"{"namespace": []}"#),
        ("/v1/namespaces", r#"{"namespace": ["a.b"]}"#),
        ("/v1/nowhere", "{}"),
    ] {
        let reply = server.send(Method::POST, path, &[], body).await;
        assert!(
            !reply.refused(400, "BadRequestException").is_empty(),
            "{path} {body}"
        );
    }
    server
        .get("/v1/namespaces/shop/views")
        .await
        .refused(406, "UnsupportedOperationException");
    server
        .get("/v1/namespaces/absent/tables")
        .await
        .refused(404, "NoSuchNamespaceException");
    let missing = server.get("/v1/namespaces/absent/tables/t").await;
    assert_eq!(
        missing.refused(404, "NoSuchTableException"),
        "Table does not exist: absent.t"
    );
}

#[tokio::test]
async fn a_table_is_loaded_once_for_each_version() {
    let server = Server::with_table().await;
    let loaded = server.get(TABLE).await.is(200);
    let etag = loaded.etag.unwrap();
    let location = loaded.body["metadata-location"].as_str().unwrap();
    assert!(location.ends_with(".metadata.json"), "{location}");
    assert_eq!(loaded.body["metadata"]["properties"], json!({ "owner": "Ann" }));
    let again = server
        .send(Method::GET, TABLE, &[("If-None-Match", &etag)], "")
        .await
        .is(304);
    assert_eq!(
        (again.etag.as_deref(), &again.body),
        (Some(etag.as_str()), &Value::Null)
    );

    let first = server.post(TABLE, append(1, None, 1)).await.is(200);
    server.post(TABLE, append(2, Some(1), 2)).await.is(200);
    assert_ne!(first.etag.as_ref(), Some(&etag));
    let all = server
        .send(Method::GET, TABLE, &[("If-None-Match", &etag)], "")
        .await
        .is(200);
    assert_eq!(all.body["metadata"]["snapshots"].as_array().unwrap().len(), 2);
    let refs = server.get(&format!("{TABLE}?snapshots=refs")).await.is(200);
    let kept = refs.body["metadata"]["snapshots"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[0]["snapshot-id"]), (1, &json!(2)));
    assert_ne!(refs.etag, all.etag, "they are two representations");
    server
        .get(&format!("{TABLE}?snapshots=some"))
        .await
        .refused(400, "BadRequestException");
}

#[tokio::test]
async fn a_staged_table_is_there_once_it_is_committed() {
    let server = Server::with_table().await;
    let mut stage = creation("u");
    stage["stage-create"] = true.into();
    let staged = server.post(TABLES, stage.clone()).await.is(200);
    assert_eq!(
        (staged.etag, &staged.body["metadata-location"]),
        (None, &Value::Null)
    );
    let metadata = &staged.body["metadata"];
    server.get("/v1/namespaces/shop/tables/u").await.is(404);
    let commit = json!({
        "requirements": [{ "type": "assert-create" }],
        "updates": [
            { "action": "assign-uuid", "uuid": metadata["table-uuid"] },
            { "action": "upgrade-format-version", "format-version": 2 },
            { "action": "add-schema", "schema": metadata["schemas"][0] },
            { "action": "set-current-schema", "schema-id": -1 },
            { "action": "set-location", "location": metadata["location"] },
        ],
    });
    let path = "/v1/namespaces/shop/tables/u";
    let made = server.post(path, commit.clone()).await.is(200);
    assert_eq!(made.body["metadata"]["table-uuid"], metadata["table-uuid"]);
    let again = server.post(path, commit).await;
    assert!(
        again
            .refused(409, "CommitFailedException")
            .starts_with("Requirement failed: table already exists")
    );
    server
        .post(TABLES, stage)
        .await
        .refused(409, "AlreadyExistsException");
}

#[tokio::test]
async fn locations_outside_of_the_warehouse_are_refused() {
    let server = Server::with_table().await;
    let outside = format!("file://{}/elsewhere/t", server.folder.path().display());
    let mut create = creation("u");
    create["location"] = outside.as_str().into();
    let moved = json!({ "requirements": [], "updates": [{ "action": "set-location", "location": outside }] });
    let register = json!({ "name": "v", "metadata-location": format!("{outside}/metadata/1.metadata.json") });
    for (path, body) in [
        (TABLES, create),
        (TABLE, moved),
        ("/v1/namespaces/shop/register", register),
    ] {
        let reply = server.post(path, body).await;
        let message = reply.refused(400, "BadRequestException");
        assert!(
            message.contains("outside of the catalog's warehouse"),
            "{message}"
        );
    }
    assert!(!server.folder.path().join("elsewhere").exists());
}

#[tokio::test]
async fn requirements_that_do_not_hold_are_conflicts() {
    let server = Server::with_table().await;
    server.post(TABLE, append(1, None, 1)).await.is(200);
    let stale = server.post(TABLE, append(2, None, 1)).await;
    assert_eq!(
        stale.refused(409, "CommitFailedException"),
        "Requirement failed: branch main was created concurrently"
    );
    // What it requires holds, and its sequence number has been given away.
    let mut late = append(3, Some(1), 1);
    late["requirements"] = json!([]);
    let late = server.post(TABLE, late).await;
    assert!(
        late.refused(409, "CommitFailedException")
            .contains("sequence number 1")
    );
    assert_eq!(server.snapshots("t").await, 1);
}

#[tokio::test]
async fn a_commit_that_is_sent_again_is_told_as_applied() {
    let server = Server::with_table().await;
    server.post(TABLE, append(1, None, 1)).await.is(200);
    server.post(TABLE, append(2, Some(1), 2)).await.is(200);
    let again = server.post(TABLE, append(1, None, 1)).await.is(200);
    assert_eq!(again.body["metadata"]["current-snapshot-id"], 2);
    let mut other = append(1, None, 1);
    other["updates"][0]["snapshot"]["manifest-list"] = "memory:///other.avro".into();
    server
        .post(TABLE, other)
        .await
        .refused(409, "CommitFailedException");
    assert_eq!(server.snapshots("t").await, 2);
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once() {
    let server = Server::with_table().await;
    let key = [("Idempotency-Key", "017F22E2-79B0-7CC3-98C4-DC0C0C07398F")];
    let body = json!({ "updates": { "a": "1" }, "removals": ["absent"] }).to_string();
    let path = "/v1/namespaces/shop/properties";
    let first = server.send(Method::POST, path, &key, &body).await.is(200);
    let drop_it = json!({ "removals": ["a"] });
    server.post(path, drop_it).await.is(200);
    let again = server.send(Method::POST, path, &key, &body).await.is(200);
    assert_eq!(again.body, first.body);
    let loaded = server.get("/v1/namespaces/shop").await.is(200);
    assert_eq!(loaded.body["properties"], json!({}), "it was not done again");

    let other = server.send(Method::DELETE, TABLE, &key, "").await;
    assert!(
        other
            .refused(400, "BadRequestException")
            .contains("another request")
    );
    server.clock.advance(31 * 60 * 1000);
    server.send(Method::POST, path, &key, &body).await.is(200);
    let loaded = server.get("/v1/namespaces/shop").await.is(200);
    assert_eq!(
        loaded.body["properties"],
        json!({ "a": "1" }),
        "the key was forgotten"
    );

    let key = [("Idempotency-Key", "017F22E2-79B0-7CC3-98C4-DC0C0C073990")];
    server.send(Method::DELETE, TABLE, &key, "").await.is(204);
    server.send(Method::DELETE, TABLE, &key, "").await.is(204);
    server.delete(TABLE).await.is(404);
    let wrong = [("Idempotency-Key", "mine")];
    server
        .send(Method::DELETE, TABLE, &wrong, "")
        .await
        .refused(400, "BadRequestException");
}

#[tokio::test]
async fn a_transaction_changes_all_tables_or_none() {
    let server = Server::with_table().await;
    server.post(TABLES, creation("u")).await.is(200);
    let change = |table: &str, mut commit: Value| {
        commit["identifier"] = json!({ "namespace": ["shop"], "name": table });
        commit
    };
    let commit =
        |changes: Vec<Value>| server.post("/v1/transactions/commit", json!({ "table-changes": changes }));
    let both = vec![change("t", append(1, None, 1)), change("u", append(2, None, 1))];
    commit(both.clone()).await.is(204);
    commit(both).await.is(204);
    let stale = commit(vec![
        change("t", append(3, Some(1), 2)),
        change("u", append(4, None, 2)),
    ])
    .await;
    stale.refused(409, "CommitFailedException");
    let twice = commit(vec![
        change("t", append(3, Some(1), 2)),
        change("t", append(4, Some(3), 3)),
    ])
    .await;
    twice.refused(400, "BadRequestException");
    commit(vec![change("absent", append(5, None, 1))])
        .await
        .refused(404, "NoSuchTableException");
    assert_eq!((server.snapshots("t").await, server.snapshots("u").await), (1, 1));
}

#[tokio::test]
async fn a_table_is_renamed_and_registered_again() {
    let server = Server::with_table().await;
    let name = |name: &str| json!({ "namespace": ["shop"], "name": name });
    let rename = json!({ "source": name("t"), "destination": name("u") });
    server.post("/v1/tables/rename", rename.clone()).await.is(204);
    server
        .post("/v1/tables/rename", rename)
        .await
        .refused(404, "NoSuchTableException");
    let path = "/v1/namespaces/shop/tables/u";
    let loaded = server.get(path).await.is(200);
    server.delete(path).await.is(204);
    let location = &loaded.body["metadata-location"];
    let register = json!({ "name": "v", "metadata-location": location });
    let registered = server
        .post("/v1/namespaces/shop/register", register.clone())
        .await
        .is(200);
    assert_eq!(registered.body["metadata"], loaded.body["metadata"]);
    server
        .post("/v1/namespaces/shop/register", register)
        .await
        .refused(409, "AlreadyExistsException");
    let listed = server.get(TABLES).await.is(200);
    assert_eq!(listed.body["identifiers"], json!([name("v")]));
}

#[tokio::test]
async fn a_purge_deletes_the_files_and_a_drop_leaves_them() {
    let server = Server::with_table().await;
    let metadata = server.folder.path().join("warehouse/shop/t/metadata");
    let location = server.get(TABLE).await.is(200).body["metadata-location"].clone();
    server.delete(TABLE).await.is(204);
    assert_eq!(std::fs::read_dir(&metadata).unwrap().count(), 1);
    let register = json!({ "name": "t", "metadata-location": location });
    server
        .post("/v1/namespaces/shop/register", register)
        .await
        .is(200);

    let shared = json!({ "requirements": [], "updates": [
        { "action": "set-properties", "updates": { "gc.enabled": "false" } } ] });
    server.post(TABLE, shared).await.is(200);
    let purge = format!("{TABLE}?purgeRequested=true");
    let kept = server.delete(&purge).await;
    assert!(kept.refused(400, "BadRequestException").contains("gc.enabled"));
    let own = json!({ "requirements": [], "updates": [
        { "action": "remove-properties", "removals": ["gc.enabled"] } ] });
    server.post(TABLE, own).await.is(200);
    assert_eq!(std::fs::read_dir(&metadata).unwrap().count(), 3);
    server.delete(&purge).await.is(204);
    assert_eq!(std::fs::read_dir(&metadata).unwrap().count(), 0);
    server.delete(&purge).await.refused(404, "NoSuchTableException");
}

#[tokio::test]
async fn a_report_is_taken() {
    let server = Server::with_table().await;
    let path = format!("{TABLE}/metrics");
    let report = json!({ "report-type": "scan-report", "table-name": "shop.t" });
    server.post(&path, report.clone()).await.is(204);
    server
        .post(&path, json!({}))
        .await
        .refused(400, "BadRequestException");
    let absent = "/v1/namespaces/shop/tables/absent/metrics";
    server
        .post(absent, report)
        .await
        .refused(404, "NoSuchTableException");
}

/// Another writer is faster, or the catalog answers something else than "done".
#[derive(Debug)]
struct Meddled {
    inner: Arc<SqliteCatalog>,
    answers: std::sync::Mutex<Vec<Answer>>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Somebody has set a property just before.
    Overtaken,
    Unavailable,
    /// It is applied, and nobody knows.
    Lost,
}

#[async_trait]
impl Catalog for Meddled {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn create_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.inner.create_namespace(namespace).await
    }
    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>, CatalogError> {
        self.inner.list_namespaces().await
    }
    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, CatalogError> {
        self.inner.list_tables(namespace).await
    }
    async fn load(&self, table: &TableIdent) -> Result<LoadedTable, CatalogError> {
        self.inner.load(table).await
    }
    async fn create(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<LoadedTable, CatalogError> {
        self.inner.create(namespace, creation).await
    }
    async fn commit(&self, base: &LoadedTable, change: TableChange) -> CommitOutcome {
        let answer = self.answers.lock().unwrap().pop();
        match answer {
            None => self.inner.commit(base, change).await,
            Some(Answer::Overtaken) => {
                let now = self.inner.load(&base.ident).await.unwrap();
                let meddling = crate::conformance::set_property("somebody", &now.metadata_location);
                let meddled = self.inner.commit(&now, meddling).await;
                assert!(matches!(meddled, CommitOutcome::Applied(_)), "{meddled:?}");
                self.inner.commit(base, change).await
            }
            Some(Answer::Unavailable) => CommitOutcome::Unavailable("locked".to_owned()),
            Some(Answer::Lost) => {
                let _ = self.inner.commit(base, change).await;
                CommitOutcome::Unknown("no answer".to_owned())
            }
        }
    }
    async fn drop_table(&self, table: &TableIdent) -> Result<(), CatalogError> {
        self.inner.drop_table(table).await
    }
}

#[async_trait]
impl ServedCatalog for Meddled {
    async fn create_namespace_with(
        &self,
        namespace: &NamespaceIdent,
        properties: std::collections::BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        self.inner.create_namespace_with(namespace, properties).await
    }
    async fn namespace_properties(
        &self,
        namespace: &NamespaceIdent,
    ) -> Result<std::collections::BTreeMap<String, String>, CatalogError> {
        self.inner.namespace_properties(namespace).await
    }
    async fn change_namespace(
        &self,
        namespace: &NamespaceIdent,
        change: NamespaceChange,
    ) -> Result<std::collections::BTreeSet<String>, CatalogError> {
        self.inner.change_namespace(namespace, change).await
    }
    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<(), CatalogError> {
        self.inner.drop_namespace(namespace).await
    }
    async fn stage(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<TableMetadata, CatalogError> {
        self.inner.stage(namespace, creation).await
    }
    async fn register(&self, table: &TableIdent, location: &str) -> Result<LoadedTable, CatalogError> {
        self.inner.register(table, location).await
    }
    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<(), CatalogError> {
        self.inner.rename(from, to).await
    }
    async fn commit_all(&self, commits: Vec<TableCommit>) -> CommitOutcome<Vec<LoadedTable>> {
        self.inner.commit_all(commits).await
    }
}

async fn meddled(answers: &[Answer]) -> Server {
    let answers = std::sync::Mutex::new(answers.to_vec());
    Server::over(|inner| Arc::new(Meddled { inner, answers }))
        .await
        .made()
        .await
}

#[tokio::test]
async fn a_commit_that_others_overtake_is_built_again_while_its_requirements_hold() {
    let server = meddled(&[Answer::Overtaken; 3]).await;
    let reply = server.post(TABLE, append(1, None, 1)).await.is(200);
    assert_eq!(reply.body["metadata"]["current-snapshot-id"], 1);
    let properties = &reply.body["metadata"]["properties"];
    assert!(properties["somebody"].is_string(), "both are there: {properties}");
    assert_eq!(server.snapshots("t").await, 1);

    let server = meddled(&[Answer::Overtaken; 9]).await;
    let lost = server.post(TABLE, append(1, None, 1)).await;
    assert!(
        lost.refused(409, "CommitFailedException")
            .contains("faster 5 times")
    );
    assert_eq!(server.snapshots("t").await, 0);
}

#[tokio::test]
async fn what_became_of_a_commit_is_told_apart() {
    let server = meddled(&[Answer::Lost, Answer::Unavailable]).await;
    let refused = server.post(TABLE, append(1, None, 1)).await;
    refused.refused(503, "ServiceUnavailableException");
    assert!(refused.retry_after, "nothing was done");
    let unknown = server.post(TABLE, append(1, None, 1)).await;
    unknown.refused(500, "CommitStateUnknownException");
    assert!(!unknown.retry_after);
    // The client looks, or sends it again.
    server.post(TABLE, append(1, None, 1)).await.is(200);
    assert_eq!(server.snapshots("t").await, 1);
}
