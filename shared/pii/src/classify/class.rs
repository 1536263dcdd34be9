//! The four classes and the three degrees of access.

/// A class of data, from the least to the most strictly kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Anyone may know it.
    Public,
    /// Ours, and nobody's in particular.
    Internal,
    /// Identifies a person.
    Pii,
    /// Payment, health, biometrics (GDPR article 9, LGPD article 11).
    Sensitive,
}

impl Class {
    /// Every class, least strict first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Pii, Self::Sensitive];

    /// The name in policy files, records and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Internal => "INTERNAL",
            Self::Pii => "PII",
            Self::Sensitive => "SENSITIVE",
        }
    }

    /// The class of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }
}

/// What a role may see, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    None,
    /// The last digits of numbers, and text without what is personal in it.
    Masked,
    /// Everything.
    Full,
}
