//! Runs statements: one after the other, each on the catalog as it is when it starts.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use iceberg::io::FileIO;
use tabletopic_catalog::Catalog;

use crate::catalog::{Listing, Source};
use crate::error::QueryError;
use crate::interruptible::InterruptibleJoins;
use crate::statement::Statement;

/// The engine over one catalog. What it keeps between statements is its memory's bound, nothing else.
#[derive(Debug, Clone)]
pub struct Engine {
    source: Source,
    runtime: Arc<RuntimeEnv>,
    /// Where names without a namespace are looked for, if somebody has said so.
    namespace: Option<String>,
}

/// What a statement answers, as it is computed.
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: SendableRecordBatchStream,
}

/// A schema that no catalog has: where names without a namespace are looked for when it is not clear which is meant.
const NOWHERE: &str = "";

impl Engine {
    /// `memory` bounds, in bytes, what joins, sorts and groups of all statements hold; beyond it they go to temporary
    /// files or fail.
    ///
    /// # Errors
    /// An engine that cannot be set up.
    pub fn new(catalog: Arc<dyn Catalog>, file_io: FileIO, memory: usize) -> Result<Self, QueryError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .build_arc();
        Ok(Self {
            source: Source { catalog, file_io },
            runtime: runtime.map_err(QueryError::of)?,
            namespace: None,
        })
    }

    /// Looks for names without a namespace in this one; its levels are joined with dots.
    ///
    /// # Errors
    /// A namespace that does not exist, with those that do; those of the catalog.
    pub async fn in_namespace(self, namespace: &str) -> Result<Self, QueryError> {
        self.listing().await?.named(namespace)?;
        Ok(Self {
            namespace: Some(namespace.to_owned()),
            ..self
        })
    }

    /// Where names without a namespace are looked for now; `None` where it is not clear which is meant.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn default_namespace(&self) -> Result<Option<String>, QueryError> {
        Ok(self.listing().await?.default_namespace().map(str::to_owned))
    }

    /// Starts a statement; the rows come as they are asked for. Dropping the answer ends it.
    ///
    /// # Errors
    /// Statements that are refused or cannot be planned, with what may have been meant; those of reading metadata.
    pub async fn run(&self, statement: &Statement) -> Result<Answer, QueryError> {
        let parsed = statement.parse()?;
        let listing = self.listing().await?;
        let context = self.context(&listing);
        let state = context.state();
        self.check_names(&state, &parsed, &listing)?;
        let plan = state.statement_to_plan(parsed).await.map_err(QueryError::of)?;
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        if read_only.verify_plan(&plan).is_err() {
            return Err(statement.refused());
        }
        let rows = context.execute_logical_plan(plan).await.map_err(QueryError::of)?;
        let batches = rows.execute_stream().await.map_err(QueryError::of)?;
        Ok(Answer {
            schema: batches.schema(),
            batches,
        })
    }

    /// What there is now.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn listing(&self) -> Result<Listing, QueryError> {
        Listing::load(&self.source, self.namespace.clone()).await
    }

    fn context(&self, listing: &Listing) -> SessionContext {
        let name = self.source.catalog.name();
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(name, listing.default_namespace().unwrap_or(NOWHERE));
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(InterruptibleJoins))
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_catalog(name, Arc::new(listing.clone()));
        context
    }

    /// Namespaces and tables that do not exist: the engine would only say that a table is not found. Functions that
    /// make tables are among the references, too.
    fn check_names(
        &self,
        state: &SessionState,
        parsed: &Parsed,
        listing: &Listing,
    ) -> Result<(), QueryError> {
        for reference in state.resolve_table_references(parsed).map_err(QueryError::of)? {
            let (namespace, table) = match &reference {
                TableReference::Bare { table } => (None, table),
                TableReference::Partial { schema, table } => (Some(schema.to_string()), table),
                TableReference::Full {
                    catalog,
                    schema,
                    table,
                } if **catalog == *self.source.catalog.name() => (Some(schema.to_string()), table),
                TableReference::Full {
                    catalog,
                    schema,
                    table,
                } => (Some(format!("{catalog}.{schema}")), table),
            };
            let function = namespace.is_none() && state.table_functions().contains_key(&**table);
            if !function && namespace.as_deref() != Some("information_schema") {
                listing.namespace(namespace.as_deref(), table)?.check(table)?;
            }
        }
        Ok(())
    }
}
