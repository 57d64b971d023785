//! Tokens by which a client says to brokers who it is (SASL OAUTHBEARER), where librdkafka does not get them itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::{Client, ClientContext};
use tabletopic_clock::Millis;

use crate::librdkafka::set_token;

/// Gives tokens to whoever the process is.
pub trait Tokens: fmt::Debug + Send + Sync {
    /// A new one. May ask somebody, and take a while.
    ///
    /// # Errors
    /// Why there is none, and what to do, without anything secret.
    fn token(&self) -> Result<Token, String>;

    /// What time it is to those that take the tokens.
    fn now(&self) -> Millis;
}

/// What a client shows to a broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// As the broker's mechanism wants it.
    pub text: String,
    /// Whom it speaks of.
    pub principal: String,
    pub made: Millis,
    pub ends: Millis,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("principal", &self.principal)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

/// A new token is asked for when so much of the last one's life is over, as librdkafka does it for its own ones.
const PART: Millis = 80;

/// After a failure nobody is asked for so long.
const AGAIN: Millis = 10_000;

/// Keeps one client in tokens.
pub(crate) struct Renewal {
    tokens: Arc<dyn Tokens>,
    due: Mutex<Millis>,
}

impl Renewal {
    pub(crate) fn new(tokens: Arc<dyn Tokens>) -> Self {
        Self {
            tokens,
            due: Mutex::new(Millis::MIN),
        }
    }

    /// Gives the client another token if it is time to.
    ///
    /// # Errors
    /// There was none. The client goes on with the one that it has, as long as that lasts.
    pub(crate) fn renew<C: ClientContext>(&self, client: &Client<C>) -> Result<(), String> {
        let now = self.tokens.now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *due {
            return Ok(());
        }
        *due = now + AGAIN;
        let token = self.tokens.token()?;
        set_token(client, &token)?;
        *due = token.made + (token.ends - token.made) * PART / 100;
        Ok(())
    }
}
