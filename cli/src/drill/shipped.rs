//! The recordings that are shipped, compiled in: the command needs no files beside it.

macro_rules! attack {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../events/drill/", $name, ".json")))
    };
}

/// Name and JSON of every file in `events/drill`.
pub(super) const SHIPPED: [(&str, &str); 10] = [
    attack!("access-key-for-another"),
    attack!("administrator-policy"),
    attack!("trail-stopped"),
    attack!("snapshot-shared"),
    attack!("passwords-swept"),
    attack!("function-mines"),
    attack!("instance-credentials-outside"),
    attack!("bucket-emptied"),
    attack!("trail-stop-refused"),
    attack!("deployment"),
];
