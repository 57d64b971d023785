//! The view of a Kafka record that the source hands to the decoder: borrowed, so that no payload
//! is copied on its way from the client's fetch buffer to the Arrow builders.

mod schema_id;

pub use schema_id::SchemaId;

/// One Kafka record. The topic is not repeated here: a slice of records always belongs to one topic.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the Unix epoch; `None` where the broker has none (message format 0).
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a dyn Headers,
}

/// Record headers, read only by those who ask: most jobs never look at them, and the Kafka client
/// parses them lazily. Keys may repeat; order is the producer's.
pub trait Headers: Sync {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>));
}

/// A record without headers.
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn for_each(&self, _visit: &mut dyn FnMut(&str, Option<&[u8]>)) {}
}

/// Headers that are owned, for the in-memory source and for tests.
impl Headers for Vec<(String, Option<Vec<u8>>)> {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        for (key, value) in self {
            visit(key, value.as_deref());
        }
    }
}
