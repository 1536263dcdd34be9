//! The client, the layer and mutual TLS, over real sockets on this machine.
#![cfg(test)]

mod calls;
mod layer;
mod mtls;
#[path = "../../examples/two_services/scenario.rs"]
mod scenario;
mod support;
#[cfg(feature = "webhooks")]
mod webhooks;

use serde_json::json;

#[tokio::test]
async fn two_services_call_each_other_over_mutual_tls() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = scenario::run(folder.path(), |_| {}).await.unwrap();
    let plan = json!({"for": "svc.enterprise", "spend": 500});
    assert_eq!(outcome, scenario::Outcome { plan, refused: http::StatusCode::FORBIDDEN });
}
