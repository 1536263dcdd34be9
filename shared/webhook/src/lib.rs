//! WhatsApp webhook: the handshake, the signature, and the routing of a batch into queue items. Decides; never acts.

mod message;
mod queue;

pub use message::{Body, ClaimTicket, MessageContext, QueueMessage};
pub use queue::{ClaimCheck, ClaimCheckError, ItemQueue, Lane, Outgoing, QueueError, SendFailure};
