//! What is shipped, compiled in: a function or a command needs no files beside it.

macro_rules! playbook {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../config/playbooks/", $name)))
    };
}

/// Name and YAML of every file in `config/playbooks`.
pub const PLAYBOOKS: [(&str, &str); 8] = [
    playbook!("backdoor.yml"),
    playbook!("compromised-credentials.yml"),
    playbook!("crypto-mining.yml"),
    playbook!("data-exfiltration.yml"),
    playbook!("ddos-attack.yml"),
    playbook!("generic.yml"),
    playbook!("malware-detected.yml"),
    playbook!("unauthorized-access.yml"),
];

/// `config/finding-types.yml`.
pub const TYPES: &str = include_str!("../../../config/finding-types.yml");

/// `config/response.yml`.
pub const SAFETY: &str = include_str!("../../../config/response.yml");
