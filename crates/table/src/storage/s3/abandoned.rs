//! Uploads in parts that nobody will finish: their process died. S3 keeps their parts, unseen and billed, until they are
//! aborted. An upload whose process lives is aborted by its writer when it fails.
//!
//! The object store's client can't list them, so that this file asks S3 itself
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>).

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use serde::Deserialize;
use tabletopic_clock::{Clock, Millis};

use super::super::counting::{RequestCounts, RequestKind};

/// How often is looked for them.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// And how soon again after that failed.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// Pages of a thousand that are looked at in one round; the next round has the rest.
const MOST_PAGES: usize = 100;

/// How its objects are reached.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) http: HttpClient,
    pub(super) store: AmazonS3,
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) region: String,
    /// The warehouse's folder. What lies elsewhere in the bucket is not ours to judge.
    pub(super) prefix: String,
}

/// See the module.
#[derive(Debug)]
pub struct AbandonedUploads {
    bucket: Bucket,
    after: Duration,
    counts: Arc<RequestCounts>,
}

#[derive(Debug, thiserror::Error)]
pub enum AbandonedError {
    #[error(transparent)]
    Store(#[from] object_store::Error),
    #[error("the request could not be made: {0}")]
    Request(#[from] http::Error),
    #[error("the store did not answer: {0}")]
    Http(#[from] object_store::client::HttpError),
    #[error("the store answered {status}: {body}")]
    Status { status: u16, body: String },
    #[error("the store's answer cannot be read: {0}")]
    Answer(#[from] quick_xml::DeError),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    /// RFC 3339.
    initiated: String,
}

impl Upload {
    /// One whose time cannot be read is left alone.
    fn began_before(&self, time: Millis) -> bool {
        DateTime::parse_from_rfc3339(&self.initiated).is_ok_and(|at| at.timestamp_millis() < time)
    }
}

impl AbandonedUploads {
    pub(super) fn new(bucket: Bucket, after: Duration, counts: Arc<RequestCounts>) -> Self {
        Self {
            bucket,
            after,
            counts,
        }
    }

    /// Aborts them now and every hour, and never ends. Failures are logged: nothing else depends on it.
    pub async fn keep_aborting(self, clock: Arc<dyn Clock>) {
        loop {
            let pause = match self.abort(clock.now()).await {
                Ok(0) => EVERY,
                Ok(aborted) => {
                    tracing::info!(aborted, after = ?self.after, "aborted uploads that nobody finished");
                    EVERY
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot abort uploads that nobody finished, tried again later: {error}; a lifecycle rule of \
                         the bucket does it as well"
                    );
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Aborts those below the warehouse that began longer ago than is configured, and answers how many.
    ///
    /// # Errors
    /// Of the first request that fails; what was aborted before stays so.
    pub async fn abort(&self, now: Millis) -> Result<usize, AbandonedError> {
        let age = Millis::try_from(self.after.as_millis()).unwrap_or(Millis::MAX);
        let mut aborted = 0;
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let page = self.list(after.as_ref()).await?;
            for upload in page.upload {
                let Ok(path) = Path::parse(&upload.key) else {
                    continue;
                };
                if !upload.began_before(now.saturating_sub(age)) {
                    continue;
                }
                self.counts.request(RequestKind::Multipart);
                match self.bucket.store.abort_multipart(&path, &upload.upload_id).await {
                    Ok(()) => aborted += 1,
                    // Another process was first, or the upload has been finished meanwhile.
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            after = match (page.is_truncated, page.next_key_marker) {
                (true, Some(key)) => Some((key, page.next_upload_id_marker.unwrap_or_default())),
                _ => return Ok(aborted),
            };
        }
        Ok(aborted)
    }

    fn page_url(&self, after: Option<&(String, String)>) -> String {
        let Bucket { url, prefix, .. } = &self.bucket;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("uploads", "");
        if !prefix.is_empty() {
            query.append_pair("prefix", &format!("{prefix}/"));
        }
        if let Some((key, upload_id)) = after {
            query.append_pair("key-marker", key);
            query.append_pair("upload-id-marker", upload_id);
        }
        // Servers differ in what they take a plus for.
        format!("{url}?{}", query.finish().replace('+', "%20"))
    }

    async fn list(&self, after: Option<&(String, String)>) -> Result<Page, AbandonedError> {
        let Bucket {
            http, store, region, ..
        } = &self.bucket;
        let mut request: HttpRequest =
            http::Request::get(self.page_url(after)).body(HttpRequestBody::empty())?;
        let credential = store.credentials().get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
        self.counts.request(RequestKind::List);
        let response = http.execute(request).await?;
        let status = response.status();
        let body = response.into_body().bytes().await?;
        if !status.is_success() {
            return Err(AbandonedError::Status {
                status: status.as_u16(),
                body: String::from_utf8_lossy(&body).chars().take(1000).collect(),
            });
        }
        Ok(quick_xml::de::from_reader(body.as_ref())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_ages_are_told() {
        let page: Page = quick_xml::de::from_str(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>b</Bucket><KeyMarker></KeyMarker>
              <NextKeyMarker>lake/b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
              <MaxUploads>1000</MaxUploads><IsTruncated>true</IsTruncated>
              <Upload><Key>lake/a</Key><UploadId>1</UploadId><StorageClass>STANDARD</StorageClass>
                <Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>
              <Upload><Key>lake/b</Key><UploadId>2</UploadId><Initiated>soon</Initiated></Upload>
            </ListMultipartUploadsResult>"#,
        )
        .unwrap();
        let at = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z")
            .unwrap()
            .timestamp_millis();
        let before = |time| {
            page.upload
                .iter()
                .map(|upload| upload.began_before(time))
                .collect::<Vec<_>>()
        };
        assert_eq!(before(at), [false, false]);
        assert_eq!(before(at + 1), [true, false]);
        assert!(page.is_truncated);
        assert_eq!(page.next_key_marker.as_deref(), Some("lake/b"));

        let none: Page = quick_xml::de::from_str("<ListMultipartUploadsResult/>").unwrap();
        assert!(none.upload.is_empty() && !none.is_truncated);
    }
}
