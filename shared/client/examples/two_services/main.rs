//! Two services that call each other over mutual TLS, with tokens that are bound to their certificates:
//!
//! ```text
//! cargo run -p portcullis-client --example two_services
//! ```
#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

mod scenario;

#[tokio::main]
async fn main() -> Result<(), scenario::BoxError> {
    let folder = tempfile::tempdir()?;
    scenario::run(folder.path(), |line| println!("{line}")).await?;
    Ok(())
}
