//! WhatsApp webhook: the handshake, the signature, and the routing of a batch into queue items. Decides; never acts.

mod batch;
mod conversation;
mod handshake;
mod identity;
pub mod json;
mod kind;
mod message;
mod queue;
mod route;
mod routed;
mod secrets;
mod signature;

pub use conversation::{ConversationKey, Party, Pseudonym, ShortConversationKey};
pub use handshake::{Handshake, HandshakeRefused, VerifyTokens};
pub use json::NotJson;
pub use kind::Kind;
pub use message::{Body, ClaimTicket, MessageContext, QueueMessage};
pub use queue::{ClaimCheck, ClaimCheckError, ItemQueue, Lane, Outgoing, QueueError, SendFailure};
pub use route::{MAX_ITEMS, route};
pub use routed::{Claim, Routed};
pub use secrets::{SecretFormatError, WebhookSecrets};
pub use signature::{
    AppSecrets, SIGNATURE_HEADER, SignatureError, VerifiedWebhook, sign, verify, verify_decoded,
};
