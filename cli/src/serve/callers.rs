//! The second half of the demonstration: who may do what.

use comfy_table::Table;
use portcullis_client::Client;
use reqwest::Method;
use serde::Serialize;

use super::stack::Stack;
use crate::failure::Failure;
use crate::output::Output;
use crate::service;
use crate::table;
use crate::webhook::{client, unreachable_stack};

/// What one caller got.
#[derive(Debug, Serialize)]
struct Caller {
    caller: String,
    scopes: String,
    read_conversation: u16,
    classify: u16,
    search: u16,
}

/// Lets every identity, and nobody, try three routes.
pub(crate) async fn show(
    output: &Output,
    url: &str,
    stack: &Stack,
    conversation: &str,
) -> Result<(), Failure> {
    let mut callers = vec![nobody(url, conversation).await?];
    for identity in stack.identities.iter() {
        let client = service::connect(url, &identity.id, stack.root.client_secret(&identity.id))?;
        let scopes: Vec<_> = identity.scopes.iter().map(ToString::to_string).collect();
        callers.push(Caller {
            caller: identity.id.clone(),
            scopes: scopes.join(" "),
            read_conversation: status(&client, Method::GET, &format!("{url}/conversations/{conversation}"))
                .await?,
            classify: status(&client, Method::POST, &format!("{url}/pii/classify")).await?,
            search: status(&client, Method::POST, &format!("{url}/conversations/search")).await?,
        });
    }
    if output.is_json() {
        return callers.iter().try_for_each(|row| output.line(row, String::new));
    }
    output.text(&format!(
        "\nThe same routes, asked by every identity with a token of its own (200 may, 403 may not, 401 nobody):\n{}",
        table(&callers)
    ))
}

async fn nobody(url: &str, conversation: &str) -> Result<Caller, Failure> {
    let client = client()?;
    let ask = async |method: Method, url: String| {
        let request = client.request(method, &url).body(if url.contains("/conversations/search") {
            SEARCH
        } else {
            NOTE
        });
        let answer = request.send().await.map_err(|e| unreachable_stack(&url, &e))?;
        Ok::<_, Failure>(answer.status().as_u16())
    };
    Ok(Caller {
        caller: "(no token)".to_owned(),
        scopes: String::new(),
        read_conversation: ask(Method::GET, format!("{url}/conversations/{conversation}")).await?,
        classify: ask(Method::POST, format!("{url}/pii/classify")).await?,
        search: ask(Method::POST, format!("{url}/conversations/search")).await?,
    })
}

async fn status(client: &Client, method: Method, url: &str) -> Result<u16, Failure> {
    let request = if method == Method::GET {
        client.get(url)
    } else {
        client.post(url).body(if url.ends_with("/search") { SEARCH } else { NOTE })
    };
    let answer = request.send().await.map_err(|e| service::failed(url, &e))?;
    Ok(answer.status().as_u16())
}

fn table(rows: &[Caller]) -> Table {
    let mut table = table::table(&[
        "Caller",
        "Scopes of its token",
        "GET /conversations/{id}",
        "POST /pii/classify",
        "POST /conversations/search",
    ]);
    for row in rows {
        table.add_row([
            row.caller.clone(),
            row.scopes.clone(),
            row.read_conversation.to_string(),
            row.classify.to_string(),
            row.search.to_string(),
        ]);
    }
    table
}

const NOTE: &str = r#"{"fields":{"note":"my card is 4111 1111 1111 1111"}}"#;
const SEARCH: &str = r#"{"subject":"+5511987654321"}"#;
