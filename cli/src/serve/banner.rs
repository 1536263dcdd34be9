//! What a person sees when the stack starts and stops.

use std::net::SocketAddr;

use serde_json::json;

use super::stack::Stack;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn started(output: &Output, address: SocketAddr, stack: &Stack) -> Result<(), Failure> {
    let developer = stack.developer();
    let status = json!({
        "event": "started",
        "url": format!("http://{address}"),
        "data": stack.data,
        "development_principal": developer.id,
        "roles": developer.roles,
    });
    output.line(&status, || {
        format!(
            "Portcullis is up on http://{address}, data in {}\n\n\
             !! DEVELOPMENT PRINCIPAL: this stack asks nobody who they are. Every caller is {:?} with the roles {}.\n\
             !! Never expose this port. In AWS the authorizer decides.",
            stack.data.display(),
            developer.id,
            developer.roles.join(", "),
        )
    })
}

/// Commands that work as they stand, for a person who has just seen the samples.
pub(crate) fn next_commands(
    output: &Output,
    address: SocketAddr,
    program: &str,
    conversation: Option<&str>,
) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(());
    }
    let read = conversation
        .map_or_else(String::new, |id| format!("  curl -s http://{address}/conversations/{id}\n"));
    output.text(&format!(
        "\nTry next, in another terminal:\n{read}  \
         {program} webhook send events/webhook/text.json --url http://{address}/webhook\n  \
         {program} webhook route events/webhook/batch.json --json\n  \
         curl -s http://{address}/health\n  \
         curl -s http://{address}/pii/classify -d '{{\"fields\":{{\"note\":\"my card is 4111 1111 1111 1111\"}}}}'\n  \
         echo '{{\"subject\":\"+5511987654321\",\"record\":\"r1\",\"fields\":{{\"note\":\"hi\"}}}}' | {program} pii encrypt - --url http://{address}\n\n\
         Ctrl-C stops it; what was accepted is kept."
    ))
}

pub(crate) fn stopping(output: &Output) -> Result<(), Failure> {
    output.line(&json!({"event": "stopping"}), || "Stopping: what is under way is finished.".to_owned())
}
