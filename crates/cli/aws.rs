//! The keys of AWS that this process has, for what logs in with them beside the store of the warehouse.

use std::sync::Mutex;
use std::sync::PoisonError;

use object_store::aws::AwsCredentialProvider;
use tabletopic_source::{AwsCredentials, AwsKeys};
use tabletopic_table::storage::aws_credentials;

use crate::commands::environment;

/// Where they come from is found out when they are first asked for, and kept: it knows when its keys end.
#[derive(Debug, Default)]
pub struct Keys(Mutex<Option<AwsCredentialProvider>>);

impl AwsCredentials for Keys {
    fn keys(&self) -> Result<AwsKeys, String> {
        let provider = self.provider()?;
        // Kafka's clients ask from threads of their own and from those of the runtime, which must not wait in another one.
        let asked = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                let asked = runtime.block_on(provider.get_credential());
                asked.map_err(|error| error.to_string())
            });
            asking.join()
        });
        let keys = asked.map_err(|_| "the question for AWS's credentials broke off".to_owned())??;
        Ok(AwsKeys {
            id: keys.key_id.clone(),
            secret: keys.secret_key.clone(),
            session_token: keys.token.clone(),
        })
    }
}

impl Keys {
    fn provider(&self) -> Result<AwsCredentialProvider, String> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = &*held {
            return Ok(provider.clone());
        }
        let provider = aws_credentials(None, &environment).map_err(|error| error.to_string())?;
        Ok(held.insert(provider).clone())
    }
}
