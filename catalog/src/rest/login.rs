//! What requests show to be let in.

use std::sync::Arc;

use http::HeaderValue;
use reqwest::Client;
use tabletopic_clock::Clock;
use tabletopic_http::ClientError;

use super::aws::AwsSigner;
use super::failure::Failure;
use super::settings::Login;
use super::tokens::Tokens;

/// See the module.
#[derive(Debug)]
pub(super) enum Badge {
    Nothing,
    /// One that never changes.
    Token(HeaderValue),
    Tokens(Box<Tokens>),
    /// Each request is signed for itself.
    Aws(AwsSigner),
}

impl Badge {
    /// # Errors
    /// A token that can't be sent, or nobody to sign.
    pub(super) fn new(
        login: &Login,
        signer: Option<AwsSigner>,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        Ok(match login {
            Login::Nothing => Self::Nothing,
            Login::Token(token) => Self::Token(bearer(token).map_err(ClientError::Other)?),
            Login::Credential(credential) => {
                Self::Tokens(Tokens::new(credential.clone(), client, clock).into())
            }
            Login::Aws(_) => {
                let signer =
                    signer.ok_or_else(|| ClientError::Other("there is nobody to sign requests".to_owned()));
                Self::Aws(signer?)
            }
        })
    }

    /// The value of the `Authorization` header.
    pub(super) async fn show(&self) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::Nothing | Self::Aws(_) => Ok(None),
            Self::Token(token) => Ok(Some(token.clone())),
            Self::Tokens(tokens) => tokens.current().await.map(Some),
        }
    }

    /// Another one in the place of `refused`, where there can be another.
    pub(super) async fn renew(&self, refused: Option<&HeaderValue>) -> Result<Option<HeaderValue>, Failure> {
        match (self, refused) {
            (Self::Tokens(tokens), Some(refused)) => tokens.instead_of(refused).await.map(Some),
            _ => Ok(None),
        }
    }
}

/// `token` as the header has it. It is never shown.
///
/// # Errors
/// It has characters that no header has.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, String> {
    let header = HeaderValue::try_from(format!("Bearer {token}"));
    let mut header = header.map_err(|_| "the token is not one line of text; correct it".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
