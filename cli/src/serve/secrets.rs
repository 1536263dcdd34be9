//! The local stack's secrets: a folder, the environment, or the development ones.

use std::path::PathBuf;

use portcullis_base::{Clock, ExposeSecret};
use portcullis_lambda::SystemClock;
use portcullis_local::{EnvSecrets, FileSecrets};
use portcullis_secrets::{SecretError, SecretSource, SecretVersions};
use portcullis_webhook::{AppSecrets, ConversationKey, Routed, route, sign, verify};
use serde::{Deserialize, Serialize};
use zeroize::ZeroizeOnDrop;

use crate::config::{Environment, SECRET_PREFIX};
use crate::failure::Failure;

/// Where secrets come from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SecretArgs {
    /// Folder of secrets: the file portcullis/webhook holds the webhook's, readable by you alone. Without it the
    /// environment counts (PORTCULLIS_SECRET_PORTCULLIS_WEBHOOK), and without that the development secrets.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
}

/// A local backend of secrets.
pub(crate) enum LocalSecrets {
    Files(FileSecrets),
    Environment(EnvSecrets),
}

impl SecretSource for LocalSecrets {
    async fn fetch(&self, name: &str) -> Result<SecretVersions, SecretError> {
        match self {
            Self::Files(files) => files.fetch(name).await,
            Self::Environment(environment) => environment.fetch(name).await,
        }
    }
}

/// The webhook's secret, in the clear for a command that signs.
#[derive(Deserialize, ZeroizeOnDrop)]
pub(crate) struct WebhookSecret {
    app_secret: String,
    conversation_key: String,
}

/// A queue item as the validator makes it.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) queue: &'static str,
    pub(crate) kind: String,
    pub(crate) id: String,
    #[serde(rename = "group")]
    pub(crate) conversation: String,
    pub(crate) dedup_id: String,
}

impl WebhookSecret {
    /// The signature that Meta would send with this body.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        sign(body, self.app_secret.as_bytes())
    }

    /// The queue items of a body. It is signed here, so that there is one way into the router.
    pub(crate) fn route(&self, body: &[u8]) -> Result<Vec<Item>, Failure> {
        let key = ConversationKey::new(self.conversation_key.as_bytes())
            .map_err(|_| Failure::usage("the conversation key is too short"))?;
        let app = AppSecrets::new(self.app_secret.as_bytes(), None);
        let verified = verify(body, Some(&self.sign(body)), &app)
            .map_err(|_| Failure::usage("the body cannot be signed"))?;
        let items = route(&verified, &key, SystemClock.now())
            .map_err(|_| Failure::refused("the body is not JSON"))?;
        let item = |item: &Routed<'_>| Item {
            queue: item.lane().as_str(),
            kind: item.kind.name().to_owned(),
            id: item.id.to_string(),
            conversation: item.conversation.to_hex(),
            dedup_id: item.dedup_id.to_string(),
        };
        Ok(items.iter().map(item).collect())
    }
}

impl SecretArgs {
    pub(crate) fn source(&self, environment: &Environment) -> Result<LocalSecrets, Failure> {
        if let Some(dir) = &self.secrets {
            let files = FileSecrets::open(dir);
            return files
                .map(LocalSecrets::Files)
                .map_err(|e| Failure::usage(format!("{}: {e}", dir.display())));
        }
        let development = [("", DEVELOPMENT), ("_PREVIOUS", DEVELOPMENT_PREVIOUS)].map(|(version, value)| {
            (format!("{SECRET_PREFIX}PORTCULLIS_WEBHOOK{version}"), value.to_owned())
        });
        let own = &environment.secrets;
        // The development secrets are those of somebody who has none of the webhook's own.
        let besides = |(name, _): &(String, String)| name.starts_with(NOTIFICATION_VARIABLE);
        let development = if own.iter().all(besides) { development.to_vec() } else { Vec::new() };
        let pairs = development.into_iter().chain(own.clone()).collect::<Vec<_>>();
        Ok(LocalSecrets::Environment(EnvSecrets::from_pairs(SECRET_PREFIX, pairs)))
    }

    /// The webhook's current secret.
    pub(crate) async fn webhook(&self, environment: &Environment) -> Result<WebhookSecret, Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::usage(format!("secret {WEBHOOK_SECRET}: {e}"));
        let versions = self.source(environment)?.fetch(WEBHOOK_SECRET).await.map_err(|e| failed(&e))?;
        serde_json::from_str(versions.current.expose_secret())
            .map_err(|_| failed(&"not of the documented form"))
    }
}

/// Name of the webhook's secret.
pub(crate) const WEBHOOK_SECRET: &str = "portcullis/webhook";

/// Name of the secret that messages about incidents are signed with.
pub(crate) const NOTIFICATION_SECRET: &str = "portcullis/notifications";
/// The same in the environment.
const NOTIFICATION_VARIABLE: &str = "PORTCULLIS_SECRET_PORTCULLIS_NOTIFICATIONS";

const DEVELOPMENT: &str = include_str!("../../../config/dev/webhook-secret.json");
const DEVELOPMENT_PREVIOUS: &str = include_str!("../../../config/dev/webhook-secret.previous.json");
