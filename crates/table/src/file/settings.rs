//! How files are written.

/// Settings of one table's files. `Default` is what the figures in `benches/` speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// A file is closed once its encoded size reaches this many bytes.
    pub target_file_size: usize,
    /// Encoded bytes in a row group, the unit in which engines spread a file over threads.
    pub row_group_size: usize,
    /// zstd level, 1 to 22.
    pub zstd_level: i32,
    /// Files open at once for one job, at least 1. Each costs its columns' unfinished pages.
    pub max_open_files: usize,
    /// The id of the table's sort order that rows come in, for the manifest.
    pub sort_order: Option<i32>,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            target_file_size: 256 << 20,
            row_group_size: 64 << 20,
            zstd_level: 3,
            max_open_files: 64,
            sort_order: None,
        }
    }
}
