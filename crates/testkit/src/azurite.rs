//! What stands for Azure's object store, and belongs to one test.

use std::path::Path;

use crate::part::Part;

/// The key of its account, which is everybody's.
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const ACCOUNT: &str = "devstoreaccount1";

/// A server with one container, `lake`. It ends when it is dropped, and its blobs with it.
#[derive(Debug)]
pub struct Azurite {
    part: Part,
    /// `http://host:port/account`.
    pub endpoint: String,
}

impl Azurite {
    pub fn start() -> Self {
        let mut part = Part::start(Path::new("python3"), "azurite.py", &[]);
        let endpoint = part.line();
        Self { part, endpoint }
    }

    /// A folder in its container, as Azure's URIs have it.
    pub fn location(&self, folder: &str) -> String {
        format!("abfss://lake@{ACCOUNT}.dfs.core.windows.net/{folder}")
    }

    /// How many blobs have parts that were never put together.
    pub fn unfinished(&mut self) -> usize {
        self.part.order("unfinished").parse().expect("a number")
    }

    pub fn stop(&mut self) {
        self.part.order("down");
    }

    pub fn start_again(&mut self) {
        self.part.order("up");
    }

    /// Variables of the environment that have readers find the server.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let (scheme, _) = self.endpoint.split_once("://").expect("a URL");
        let connection = format!(
            "DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={AZURITE_KEY};BlobEndpoint={};",
            self.endpoint
        );
        vec![("AZURE_STORAGE_CONNECTION_STRING".to_owned(), connection)]
    }
}
