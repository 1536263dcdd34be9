//! The third part of the demonstration: an attack is seen, contained, and what was contained is given back.

use super::stack::Stack;
use crate::api::Api;
use crate::drill;
use crate::failure::Failure;
use crate::output::Output;
use crate::service;

/// Plays one recorded attack through the running stack.
pub(crate) async fn show(output: &Output, url: &str, stack: &Stack) -> Result<(), Failure> {
    let client = service::connect(url, OPERATOR, stack.root.client_secret(OPERATOR))?;
    let (outcomes, totals) = drill::sample(&Api::new(client, url)).await?;
    if output.is_json() {
        return outcomes.iter().try_for_each(|row| output.line(row, String::new));
    }
    output.text(&format!(
        "\nA recorded attack, contained in the simulated account and released again:\n{}\n{}",
        drill::outcomes_table(&outcomes),
        totals.in_words(false),
    ))
}

/// The identity that runs incidents.
const OPERATOR: &str = "ops.security-admin";
