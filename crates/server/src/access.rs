//! Who is answered.
//!
//! With a token: whoever has it, as `Authorization: Bearer TOKEN`, or as the password of a browser's question (HTTP
//! Basic, any user name). `/healthz` and `/readyz` answer everybody, because probes carry no secrets; what is missing
//! is told only to those who may know.
//!
//! Without one, which is only offered on loopback: every program on this host, but no page on the Internet that has
//! its own name point to 127.0.0.1 (DNS rebinding). Such a request names that page in `Host`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::token::Token;

/// Answered without the token.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Whether the one who asks may see more than a probe does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    Everything,
    Probes,
}

/// Lets a request through, with [`Sees`] among its extensions, or answers it.
pub async fn check(State(token): State<Option<Arc<Token>>>, mut request: Request, next: Next) -> Response {
    let sees = match &token {
        None if !is_no_page(request.headers()) => {
            return (
                StatusCode::FORBIDDEN,
                "Ask for an address of this host or for localhost. To be asked by another name, the server needs a \
                 token: see [admin] in the configuration.\n",
            )
                .into_response();
        }
        None => Sees::Everything,
        Some(token) if has(request.headers(), token) => Sees::Everything,
        Some(_) if PROBES.contains(&request.uri().path()) => Sees::Probes,
        Some(_) => {
            return (
                StatusCode::UNAUTHORIZED,
                [(WWW_AUTHENTICATE, "Basic realm=\"tabletopic\", charset=\"UTF-8\"")],
                "Send the token of [admin] in the configuration, as `Authorization: Bearer TOKEN` or as the password of \
                 any user.\n",
            )
                .into_response();
        }
    };
    request.extensions_mut().insert(sees);
    next.run(request).await
}

/// The name that was asked for is `localhost` or an address. Nobody can point those anywhere else.
pub fn is_no_page(headers: &HeaderMap) -> bool {
    let Some(asked) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match asked.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => asked,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Whether the one who asks has the token.
pub fn has(headers: &HeaderMap, token: &Token) -> bool {
    let Some((scheme, secret)) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.is(secret.trim().as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(pair) = STANDARD.decode(secret.trim()) else {
        return false;
    };
    let password = pair
        .iter()
        .position(|byte| *byte == b':')
        .and_then(|colon| pair.get(colon + 1..));
    password.is_some_and(|password| token.is(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HeaderMap {
        HeaderMap::from_iter([(HOST, name.parse().unwrap())])
    }

    #[test]
    fn names_that_somebody_could_point_here_are_told_from_addresses() {
        for mine in [
            "localhost",
            "localhost:8484",
            "LocalHost:1",
            "127.0.0.1:8484",
            "127.0.0.1",
            "[::1]:8484",
            "[::1]",
        ] {
            assert!(is_no_page(&host(mine)), "{mine}");
        }
        for page in [
            "example.com",
            "example.com:8484",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "",
            ":8484",
        ] {
            assert!(!is_no_page(&host(page)), "{page}");
        }
        assert!(!is_no_page(&HeaderMap::new()));
    }

    #[test]
    fn the_token_is_a_bearers_or_a_password() {
        let token = Token::new("0123456789abcdef").unwrap();
        let sent = |value: String| {
            has(
                &HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]),
                &token,
            )
        };
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert!(sent("Bearer 0123456789abcdef".to_owned()));
        assert!(sent("bearer 0123456789abcdef".to_owned()));
        assert!(sent(basic("anybody:0123456789abcdef")));
        assert!(sent(basic(":0123456789abcdef")));
        for wrong in [
            "0123456789abcdef".to_owned(),
            "Bearer 0123456789abcdeF".to_owned(),
            "Bearer ".to_owned(),
            "Digest 0123456789abcdef".to_owned(),
            "Basic 0123456789abcdef".to_owned(),
            basic("0123456789abcdef"),
            basic("0123456789abcdef:"),
        ] {
            assert!(!sent(wrong.clone()), "{wrong}");
        }
        assert!(!has(&HeaderMap::new(), &token));
    }
}
