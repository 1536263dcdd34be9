//! What a person sees when the stack starts and stops.

use std::path::Path;

use serde_json::json;

use super::stack::Stack;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn started(output: &Output, url: &str, stack: &Stack, playbooks: &str) -> Result<(), Failure> {
    let status = json!({
        "event": "started",
        "url": url,
        "data": stack.data,
        "account": "simulated",
    });
    output.line(&status, || {
        format!(
            "Portcullis is up on {url}, data in {}\n\
             For this machine alone. Identities: config/access/identities.yml; whoever holds the root key can say their \
             secrets.\n\
             Incidents are contained in a SIMULATED AWS account: nothing but this database is changed. It follows \
             {playbooks}.",
            stack.data.display(),
        )
    })
}

/// Commands that work as they stand, for a person who has just seen the samples.
pub(crate) fn next_commands(
    output: &Output,
    url: &str,
    program: &str,
    root_key: Option<&Path>,
    conversation: Option<&str>,
) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(());
    }
    let key = root_key.map_or_else(String::new, |file| format!(" --root-key {}", file.display()));
    let id = conversation.unwrap_or("ID");
    output.text(&format!(
        "\nTry next, in another terminal:\n  \
         TOKEN=$({program} token get --service svc.memory --url {url}{key})\n  \
         curl -s {url}/conversations/{id} -H \"Authorization: Bearer $TOKEN\"\n  \
         curl -s {url}/conversations/{id}\n  \
         curl -s {url}/pii/classify -H \"Authorization: Bearer $TOKEN\" -d '{{\"fields\":{{\"note\":\"my card is 4111 1111 1111 1111\"}}}}'\n  \
         echo \"$TOKEN\" | {program} token inspect\n  \
         {program} access explain --as svc.analyst --action execute:external --resource plan-7\n  \
         {program} keys rotate --url {url}{key}\n  \
         {program} webhook send events/webhook/text.json --url {url}/webhook\n  \
         {program} webhook route events/webhook/batch.json --json\n  \
         {program} drill --url {url}{key}\n  \
         {program} incident list --url {url}{key}\n  \
         {program} respond events/guardduty-responder/finding-1-key-from-tor.json\n  \
         curl -s {url}/health\n  \
         echo '{{\"subject\":\"+5511987654321\",\"record\":\"r1\",\"fields\":{{\"note\":\"hi\"}}}}' | {program} pii encrypt - --url {url}{key}\n\n\
         Ctrl-C stops it; what was accepted is kept."
    ))
}

pub(crate) fn stopping(output: &Output) -> Result<(), Failure> {
    output.line(&json!({"event": "stopping"}), || "Stopping: what is under way is finished.".to_owned())
}
