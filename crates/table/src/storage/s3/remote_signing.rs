//! Requests that the catalog signs: there are no keys here, and each request is shown to it before it is sent (remote
//! signing in the words of Iceberg's REST specification, `RemoteSignRequest`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, Method, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use tabletopic_catalog::{Signature, StoreRequest};
use tokio::time::Instant;

use super::super::client::Connector;
use super::super::vended::Vended;

/// What a server says that wants to sign.
const ENABLED: &str = "s3.remote-signing-enabled";

/// How long a signature is used again that may be: as Iceberg's own client has it. Stores take one for a quarter of an
/// hour.
const REUSED: Duration = Duration::from_secs(30);
/// How many of those are kept.
const MOST_KEPT: usize = 100;

/// Whether the catalog signs what is sent to a place.
pub(super) fn is_asked_for(vended: &Vended) -> bool {
    let said = vended.granted.property(ENABLED);
    said.is_some_and(|said| said.eq_ignore_ascii_case("true"))
}

/// Makes clients that ask the catalog for signatures.
#[derive(Debug)]
pub(super) struct SigningConnector {
    pub(super) connector: Connector,
    pub(super) vended: Vended,
    pub(super) region: String,
}

impl HttpConnector for SigningConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Signing {
            client: self.connector.connect(options)?,
            vended: self.vended.clone(),
            region: self.region.clone(),
            kept: Mutex::default(),
        }))
    }
}

struct Signing {
    client: HttpClient,
    vended: Vended,
    region: String,
    kept: Mutex<HashMap<StoreRequest, (Signature, Instant)>>,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signing")
            .field(&self.vended.granted.prefix)
            .finish()
    }
}

#[async_trait]
impl HttpService for Signing {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let shown = shown(&request, &self.region).map_err(not_sent)?;
        let signature = match self.kept(&shown) {
            Some(signature) => signature,
            None => self.ask(&shown).await?,
        };
        let request = signed(request, &signature).map_err(not_sent)?;
        let answer = self.client.execute(request).await?;
        if answer.status().is_client_error() {
            self.forget(&shown);
        }
        Ok(answer)
    }
}

impl Signing {
    fn kept(&self, request: &StoreRequest) -> Option<Signature> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (signature, until) = kept.get(request)?;
        (Instant::now() < *until).then(|| signature.clone())
    }

    /// The catalog is asked as patiently as for anything else, so that the store's client does not ask it again.
    async fn ask(&self, request: &StoreRequest) -> Result<Signature, HttpError> {
        let signature = self.vended.access.sign(&self.vended.granted.prefix, request);
        let signature = signature
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        if signature.is_reusable {
            let now = Instant::now();
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|_, (_, until)| now < *until);
            if kept.len() < MOST_KEPT {
                kept.insert(request.clone(), (signature.clone(), now + REUSED));
            }
        }
        Ok(signature)
    }

    /// The store may have refused the request for its signature.
    fn forget(&self, request: &StoreRequest) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(request);
    }
}

/// What the catalog is shown of a request. Headers that stores do not want to be signed are left out: a signature is then
/// good for each range of a file.
fn shown(request: &HttpRequest, region: &str) -> Result<StoreRequest, String> {
    let is_signed = |name: &HeaderName| {
        name == CONTENT_TYPE || name == "content-md5" || name.as_str().starts_with("x-amz-")
    };
    let headers = request.headers().iter().filter(|(name, _)| is_signed(name));
    let headers = headers.map(|(name, value)| match value.to_str() {
        Ok(value) => Ok((name.to_string(), value.to_owned())),
        Err(_) => Err(format!(
            "its header {name} is no text, which the catalog could be shown"
        )),
    });
    let deletes = |query: &str| query.split('&').any(|part| matches!(part, "delete" | "delete="));
    let body = match request.uri().query() {
        // The files that it is about are named in its body alone.
        Some(query) if *request.method() == Method::POST && deletes(query) => request.body().as_bytes(),
        _ => None,
    };
    Ok(StoreRequest {
        region: region.to_owned(),
        method: request.method().to_string(),
        uri: request.uri().to_string(),
        headers: headers.collect::<Result<BTreeMap<_, _>, _>>()?,
        body: body.map(|body| String::from_utf8_lossy(body).into_owned()),
    })
}

/// The request with its signature. What it has itself stays.
fn signed(mut request: HttpRequest, signature: &Signature) -> Result<HttpRequest, String> {
    let asked = request.uri();
    let place = |uri: &Uri| {
        (
            uri.scheme().cloned(),
            uri.authority().cloned(),
            uri.path().to_owned(),
        )
    };
    let uri: Option<Uri> = signature.uri.parse().ok();
    let Some(uri) = uri.filter(|uri| place(uri) == place(asked)) else {
        let elsewhere = signature.uri.split('?').next().unwrap_or_default();
        return Err(format!(
            "the catalog has signed a request for {elsewhere} in its place"
        ));
    };
    *request.uri_mut() = uri;
    let own = request.headers().clone();
    for (name, value) in &signature.headers {
        // These two are the connection's own matter.
        if !own.contains_key(name) && name != HOST && name != CONTENT_LENGTH {
            request.headers_mut().append(name, value.clone());
        }
    }
    Ok(request)
}

/// Nothing was sent to the store, and asking again would not help.
fn not_sent(words: String) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, io::Error::other(words))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::header::{AUTHORIZATION, RANGE};
    use http::{HeaderMap, HeaderValue};
    use tabletopic_catalog::{CatalogError, FileAccess, Granted};

    use super::super::super::RequestCounts;
    use super::super::super::empty_store;
    use super::*;

    /// A catalog that numbers what it signs.
    #[derive(Debug, Default)]
    struct Numbers {
        given: AtomicUsize,
        asked: Mutex<Vec<StoreRequest>>,
    }

    #[async_trait]
    impl FileAccess for Numbers {
        fn granted(&self, _: &str) -> Option<Arc<Granted>> {
            None
        }

        async fn renewed(&self, _: &str) -> Result<Arc<Granted>, CatalogError> {
            unreachable!("there are no credentials")
        }

        async fn sign(&self, _: &str, request: &StoreRequest) -> Result<Signature, CatalogError> {
            self.asked.lock().unwrap().push(request.clone());
            let number = self.given.fetch_add(1, Ordering::SeqCst);
            let uri = match request.uri.ends_with("/moved") {
                true => "http://127.0.0.1:1/moved?secret".to_owned(),
                false => format!("{}?by=catalog", request.uri),
            };
            let headers = [
                (AUTHORIZATION, HeaderValue::from(number)),
                (RANGE, HeaderValue::from_static("bytes=7-8")),
                (HOST, HeaderValue::from_static("elsewhere")),
            ];
            Ok(Signature {
                uri,
                headers: HeaderMap::from_iter(headers),
                is_reusable: request.method == "GET",
            })
        }
    }

    fn client(catalog: Arc<Numbers>) -> HttpClient {
        let connector = SigningConnector {
            connector: Connector(Arc::new(RequestCounts::default())),
            vended: Vended {
                access: catalog,
                granted: Arc::new(Granted::default()),
            },
            region: "us-east-1".to_owned(),
        };
        connector
            .connect(&ClientOptions::new().with_allow_http(true))
            .unwrap()
    }

    fn request(method: Method, uri: String) -> HttpRequest {
        let mut request = HttpRequest::new("<Delete/>".to_owned().into());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap();
        let headers = [
            (RANGE, "bytes=1-2"),
            (CONTENT_TYPE, "text/x"),
            (HeaderName::from_static("x-amz-tagging"), "a=b"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        request.headers_mut().extend(headers);
        request
    }

    #[tokio::test]
    async fn each_request_has_a_signature_beside_what_it_has_itself() {
        let (url, seen) = empty_store::start();
        let catalog = Arc::new(Numbers::default());
        let client = client(catalog.clone());
        for (number, method) in [Method::PUT, Method::PUT, Method::HEAD].into_iter().enumerate() {
            client
                .execute(request(method.clone(), format!("{url}/a")))
                .await
                .unwrap();
            let asked = seen.recv().unwrap();
            assert_eq!(asked.line, format!("{method} /a?by=catalog HTTP/1.1"));
            assert_eq!(asked.headers["authorization"], number.to_string());
            assert_eq!(asked.headers["range"], "bytes=1-2");
            assert_eq!(asked.headers["host"], url.strip_prefix("http://").unwrap());
            let shown = catalog.asked.lock().unwrap()[number].clone();
            assert_eq!(
                (shown.method, shown.uri, shown.region, shown.body),
                (
                    method.to_string(),
                    format!("{url}/a"),
                    "us-east-1".to_owned(),
                    None
                )
            );
            let headers: Vec<_> = shown.headers.into_iter().collect();
            let expected = [("content-type", "text/x"), ("x-amz-tagging", "a=b")];
            assert_eq!(
                headers,
                expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
            );
        }
        let moved = client.execute(request(Method::GET, format!("{url}/moved"))).await;
        let words = format!("{:?}", moved.unwrap_err());
        assert!(
            words.contains("http://127.0.0.1:1/moved in its place") && !words.contains("secret"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn what_is_deleted_is_shown_by_name() {
        let (url, seen) = empty_store::start();
        let catalog = Arc::new(Numbers::default());
        let client = client(catalog.clone());
        for query in ["delete", "x&delete=", "uploads", "undelete"] {
            let request = request(Method::POST, format!("{url}/?{query}"));
            client.execute(request).await.unwrap();
            seen.recv().unwrap();
            let shown = catalog.asked.lock().unwrap().pop().unwrap();
            let named = query == "delete" || query == "x&delete=";
            assert_eq!(shown.body.as_deref(), named.then_some("<Delete/>"), "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_is_used_again_for_a_while_where_it_may_be() {
        let catalog = Arc::new(Numbers::default());
        let signing = Signing {
            client: HttpClient::new(Nowhere),
            vended: Vended {
                access: catalog.clone(),
                granted: Arc::new(Granted::default()),
            },
            region: "us-east-1".to_owned(),
            kept: Mutex::default(),
        };
        let asked = async |method: Method, path: &str| {
            let request = request(method, format!("http://store/{path}"));
            signing.call(request).await.unwrap_err();
            catalog.given.load(Ordering::SeqCst)
        };
        assert_eq!(asked(Method::GET, "a").await, 1);
        assert_eq!(asked(Method::GET, "a").await, 1);
        assert_eq!(asked(Method::GET, "b").await, 2);
        assert_eq!(asked(Method::PUT, "a").await, 3);
        assert_eq!(asked(Method::PUT, "a").await, 4);
        tokio::time::advance(REUSED).await;
        assert_eq!(asked(Method::GET, "a").await, 5);
        for number in 0..2 * MOST_KEPT {
            asked(Method::GET, &number.to_string()).await;
        }
        assert_eq!(signing.kept.lock().unwrap().len(), MOST_KEPT);
    }

    /// A store that does not answer, so that it does not refuse either.
    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl HttpService for Nowhere {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            Err(not_sent("nobody is there".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_signature_that_the_store_refuses_is_not_used_again() {
        let (url, seen) = empty_store::start();
        let client = client(Arc::new(Numbers::default()));
        for number in ["0", "1"] {
            client
                .execute(request(Method::GET, format!("{url}/a")))
                .await
                .unwrap();
            assert_eq!(seen.recv().unwrap().headers["authorization"], number);
        }
    }
}
