/// Where the functions keep the limits that they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitsPlace {
    /// A table of DynamoDB, by its name.
    Table(String),
    /// Redis or Valkey.
    Redis {
        /// `rediss://host[:port][/database]`, without credentials.
        address: String,
        /// The user; the default one where none is named.
        user: Option<String>,
        /// The name of the secret that holds the password; without one there is none.
        secret: Option<String>,
    },
}
