//! What the CPU time of the process is spent on: the stages of the pipeline, and the work beside it.

/// Threads that run workers, and tell stages apart by themselves: see [`super::Meter`].
pub const WORKER_THREADS: &str = "worker";
pub const UPLOAD_THREADS: &str = "upload";

/// In the order in which a record meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// librdkafka's own threads: sockets, TLS, checksums, decompression, parsing.
    Fetch,
    /// Polling the source, and giving its records back.
    Consume,
    Decode,
    Split,
    /// Appending to Parquet files and closing them, cuts included.
    Encode,
    /// Storing closed files.
    Upload,
    /// Manifests, metadata and the catalog; with all that the service does beside, such as asking brokers for lag.
    Commit,
    Maintenance,
    Verification,
    /// Starting up, reading the configuration, the sample of a new table.
    Other,
}

impl Stage {
    pub const ALL: [Self; 10] = [
        Self::Fetch,
        Self::Consume,
        Self::Decode,
        Self::Split,
        Self::Encode,
        Self::Upload,
        Self::Commit,
        Self::Maintenance,
        Self::Verification,
        Self::Other,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Consume => "consume",
            Self::Decode => "decode",
            Self::Split => "split",
            Self::Encode => "encode",
            Self::Upload => "upload",
            Self::Commit => "commit",
            Self::Maintenance => "maintenance",
            Self::Verification => "verification",
            Self::Other => "other",
        }
    }

    /// What a thread of this name does. `None` for the workers' threads.
    pub(super) fn of_thread(name: &str) -> Option<Self> {
        // Linux keeps 15 bytes of a name.
        let is = |prefix: &str| name.starts_with(prefix);
        match name {
            _ if is(WORKER_THREADS) => None,
            _ if is("rdk:") => Some(Self::Fetch),
            _ if is(UPLOAD_THREADS) => Some(Self::Upload),
            // Those of the runtime that committers live in, and of the SQLite catalog.
            _ if is("tokio-rt-worker") || is("sqlx-sqlite") => Some(Self::Commit),
            _ if is("maintenance") => Some(Self::Maintenance),
            _ if is("verification") => Some(Self::Verification),
            _ => Some(Self::Other),
        }
    }
}
