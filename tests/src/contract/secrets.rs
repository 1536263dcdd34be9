//! The contract of [`SecretSource`], for every backend.

use std::future::Future;

use portcullis_base::ExposeSecret;
use portcullis_secrets::{SecretError, SecretSource};

/// A backend with the means to change what it holds, as an operator would.
pub trait SecretBackend {
    /// The adapter under test.
    fn source(&self) -> impl SecretSource;

    /// Makes `value` the current version of `name`; what was current becomes the previous version.
    fn rotate(&self, name: &str, value: &str) -> impl Future<Output = ()>;

    /// Withdraws the previous version of `name`.
    fn withdraw_previous(&self, name: &str) -> impl Future<Output = ()>;

    /// Removes `name` with all its versions.
    fn remove(&self, name: &str) -> impl Future<Output = ()>;
}

/// Runs the whole contract. The backend must be empty.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(backend: &impl SecretBackend) {
    what_was_never_stored_is_not_found(backend).await;
    current_and_previous_follow_rotation(backend).await;
    names_are_apart(backend).await;
    values_arrive_unchanged(backend).await;
    what_is_removed_is_not_found(backend).await;
    impossible_names_are_not_found(backend).await;
}

async fn what_was_never_stored_is_not_found(backend: &impl SecretBackend) {
    assert_eq!(read(backend, "contract/never").await, Err(SecretError::NotFound));
}

async fn current_and_previous_follow_rotation(backend: &impl SecretBackend) {
    let name = "contract/rotated";
    backend.rotate(name, "one").await;
    assert_eq!(read(backend, name).await, versions("one", None), "never rotated");
    backend.rotate(name, "two").await;
    assert_eq!(read(backend, name).await, versions("two", Some("one")), "rotated");
    backend.rotate(name, "three").await;
    assert_eq!(read(backend, name).await, versions("three", Some("two")), "rotated again");
    backend.withdraw_previous(name).await;
    assert_eq!(read(backend, name).await, versions("three", None), "previous withdrawn");
}

async fn names_are_apart(backend: &impl SecretBackend) {
    backend.rotate("contract/a", "value of a").await;
    backend.rotate("contract/a-b", "value of a-b").await;
    assert_eq!(read(backend, "contract/a").await, versions("value of a", None));
    assert_eq!(read(backend, "contract/a-b").await, versions("value of a-b", None));
}

async fn values_arrive_unchanged(backend: &impl SecretBackend) {
    let long = "x".repeat(32 * 1024);
    let values = [
        r#"{"app_secret":"s","verify_token":"t","conversation_key":"k"}"#,
        r#"quotes " and ' and \ and $HOME and %s"#,
        " spaces around ",
        "two\nlines",
        "ação, ñandú, 🔑",
        &long,
    ];
    for (index, value) in values.iter().enumerate() {
        let name = format!("contract/value-{index}");
        backend.rotate(&name, value).await;
        assert_eq!(read(backend, &name).await, versions(value, None), "value {index}");
    }
}

async fn what_is_removed_is_not_found(backend: &impl SecretBackend) {
    let name = "contract/removed";
    backend.rotate(name, "one").await;
    backend.rotate(name, "two").await;
    backend.remove(name).await;
    assert_eq!(read(backend, name).await, Err(SecretError::NotFound));
}

async fn impossible_names_are_not_found(backend: &impl SecretBackend) {
    backend.rotate("contract/real", "value").await;
    for name in ["", "/", "contract/../contract/real", "../contract/real", "contract//real", "contract/real/"]
    {
        assert_eq!(read(backend, name).await, Err(SecretError::NotFound), "{name:?}");
    }
}

type Versions = (String, Option<String>);

async fn read(backend: &impl SecretBackend, name: &str) -> Result<Versions, SecretError> {
    let versions = backend.source().fetch(name).await?;
    Ok((
        versions.current.expose_secret().to_owned(),
        versions.previous.map(|previous| previous.expose_secret().to_owned()),
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "reads as the expected answer")]
fn versions(current: &str, previous: Option<&str>) -> Result<Versions, SecretError> {
    Ok((current.to_owned(), previous.map(str::to_owned)))
}
