//! What both responders are told: where incidents are kept, who is told of them, and what may be done about them.

use std::collections::BTreeSet;

use portcullis_detection::IncidentType;
use portcullis_response::{PLAYBOOKS, Playbook, Playbooks, SAFETY, Safety};

use crate::{AuditConfig, Settings};

/// The settings of both responders.
#[derive(Debug, Clone)]
pub struct ResponseConfig {
    /// `INCIDENTS_TABLE`: name of the table of incidents, holds, the cap, and the progress of the audit.
    pub incidents_table: String,
    /// `NOTIFICATIONS_TOPIC_ARN`: the SNS topic of messages; none where absent.
    pub topic: Option<String>,
    /// `NOTIFICATION_WEBHOOK_URL` and `NOTIFICATION_WEBHOOK_SECRET`; none where both are absent. A topic or a webhook has
    /// to be there: an incident of which nobody is told is not answered.
    pub webhook: Option<WebhookSetting>,
    /// `PLAYBOOKS`: playbooks as YAML documents, separated by lines of `---`, each in the place of the shipped one for
    /// its type of incident; the shipped ones where absent. `LIVE_PLAYBOOKS`: the incidents whose playbooks change the
    /// account though their files say `dry_run: true`: `none` (also where absent), `all`, or names separated by commas.
    pub playbooks: Playbooks,
    /// `SAFETY`: safety rules as YAML in the place of the shipped ones. Told of `OWN_ROLE_ARN`, which
    /// also says in which account the function is at home, and of `AWS_REGION`; of `OTHER_ROLE_ARNS`, the roles of other
    /// responders, separated by commas, and of `STACK_PREFIX`, what the names of the stack begin with: none where absent.
    pub safety: Safety,
    /// `OWN_ROLE_ARN`: the role that the function runs under.
    pub own_role: String,
    /// `BLOCK_LIST_IPV4_ARN`: the WAF's list of blocked IPv4 addresses; without it none is blocked.
    pub block_list_v4: Option<String>,
    /// `BLOCK_LIST_IPV6_ARN`: see `block_list_v4`.
    pub block_list_v6: Option<String>,
    /// `AWS_REGION`, which Lambda sets.
    pub region: String,
    /// `AUDIT_TABLE`, `AUDIT_ON_FAILURE` and what else there is.
    pub audit: AuditConfig,
    /// `LOG_LEVEL`: a `tracing` filter; `info` where absent.
    pub log_level: String,
}

/// Where messages are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSetting {
    /// `NOTIFICATION_WEBHOOK_URL`: `https:`.
    pub url: String,
    /// `NOTIFICATION_WEBHOOK_SECRET`: name of the secret that they are signed with.
    pub secret: String,
}

impl ResponseConfig {
    /// Reads them. `None` where they cannot be used, with a problem for each reason: then the reading ends in an error.
    pub fn read<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<Self> {
        let region = s.required("AWS_REGION");
        let playbooks = playbooks(s);
        let own_role = s.required("OWN_ROLE_ARN");
        let safety = safety(s, &own_role, &region);
        let topic = arn(s, "NOTIFICATIONS_TOPIC_ARN", "sns");
        let webhook = webhook(s);
        if topic.is_none() && webhook.is_none() {
            s.problem("NOTIFICATIONS_TOPIC_ARN or NOTIFICATION_WEBHOOK_URL is to be set");
        }
        let incidents_table = s.required("INCIDENTS_TABLE");
        let (block_list_v4, block_list_v6) =
            (arn(s, "BLOCK_LIST_IPV4_ARN", "wafv2"), arn(s, "BLOCK_LIST_IPV6_ARN", "wafv2"));
        let audit = AuditConfig::read(s);
        let log_level = s.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
        let (playbooks, safety) = (playbooks?, safety?);
        Some(Self {
            incidents_table,
            topic,
            webhook,
            playbooks,
            safety,
            own_role,
            block_list_v4,
            block_list_v6,
            region,
            audit,
            log_level,
        })
    }
}

fn playbooks<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<Playbooks> {
    let own = s.optional("PLAYBOOKS").map(|yaml| documents(&yaml)).unwrap_or_default();
    let replaced: BTreeSet<IncidentType> =
        own.iter().filter_map(|yaml| Playbook::parse(yaml).ok()).map(|book| book.incident).collect();
    let kept = |yaml: &str| {
        replaced.is_empty() || Playbook::parse(yaml).is_ok_and(|book| !replaced.contains(&book.incident))
    };
    let shipped = PLAYBOOKS.iter().filter(|(_, yaml)| kept(yaml));
    let files = shipped.map(|(name, yaml)| ((*name).to_owned(), (*yaml).to_owned()));
    let given = own.iter().enumerate().map(|(n, yaml)| (format!("document {}", n + 1), yaml.clone()));
    let playbooks = or_problem(s, "PLAYBOOKS", Playbooks::load(files.chain(given)))?;
    let live = s.optional("LIVE_PLAYBOOKS").unwrap_or_else(|| "none".to_owned());
    or_problem(s, "LIVE_PLAYBOOKS", playbooks.live(&live))
}

/// YAML documents, as text; those of comments and blanks alone are none.
fn documents(yaml: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in yaml.lines() {
        match all.last_mut() {
            Some(document) if line.trim_end() != "---" => {
                document.push_str(line);
                document.push('\n');
            }
            _ => all.push(String::new()),
        }
    }
    let says = |line: &str| !matches!(line.trim_start().as_bytes().first(), None | Some(b'#'));
    all.retain(|document| document.lines().any(says));
    all
}

fn safety<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>, role: &str, region: &str) -> Option<Safety> {
    let given = s.optional("SAFETY");
    let safety = or_problem(s, "SAFETY", Safety::parse(given.as_deref().unwrap_or(SAFETY)));
    let account = account_of_role(role);
    if account.is_none() && !role.is_empty() {
        s.problem("OWN_ROLE_ARN is not valid");
    }
    let (others, prefix) = (other_roles(s), prefix(s));
    let safety = safety?.with_own_role(role).at_home(account?, region);
    let safety = others.iter().fold(safety, |safety, other| safety.with_own_role(other));
    Some(prefix.iter().fold(safety, |safety, prefix| safety.with_own_prefix(prefix)))
}

fn other_roles<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Vec<String> {
    let given = s.optional("OTHER_ROLE_ARNS").unwrap_or_default();
    let roles: Vec<String> =
        given.split(',').map(str::trim).filter(|r| !r.is_empty()).map(str::to_owned).collect();
    if !roles.iter().all(|role| account_of_role(role).is_some()) {
        s.problem("OTHER_ROLE_ARNS is not valid");
    }
    roles
}

/// As the template takes it.
fn prefix<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<String> {
    let prefix = s.optional("STACK_PREFIX")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !prefix.bytes().all(plain) || prefix.starts_with('-') {
        s.problem("STACK_PREFIX is not valid");
    }
    Some(prefix)
}

fn or_problem<T, E: std::fmt::Display, L>(s: &mut Settings<L>, name: &str, read: Result<T, E>) -> Option<T>
where
    L: Fn(&str) -> Option<String>,
{
    read.map_err(|error| s.problem(format!("{name}: {error}"))).ok()
}

fn webhook<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>) -> Option<WebhookSetting> {
    let (url, secret) = (s.optional("NOTIFICATION_WEBHOOK_URL"), s.optional("NOTIFICATION_WEBHOOK_SECRET"));
    match (url, secret) {
        (None, None) => None,
        (Some(url), Some(secret)) if url.starts_with("https://") => Some(WebhookSetting { url, secret }),
        (Some(_), Some(_)) => {
            s.problem("NOTIFICATION_WEBHOOK_URL is not valid");
            None
        }
        _ => {
            s.problem("NOTIFICATION_WEBHOOK_URL and NOTIFICATION_WEBHOOK_SECRET belong together");
            None
        }
    }
}

/// `arn:<partition>:<service>:<region>:<account>:<resource>`.
fn arn<L: Fn(&str) -> Option<String>>(s: &mut Settings<L>, name: &str, service: &str) -> Option<String> {
    let arn = s.optional(name)?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let valid = matches!(*parts, ["arn", _, of, _, _, resource] if of == service && !resource.is_empty());
    if !valid {
        s.problem(format!("{name} is not valid"));
    }
    valid.then_some(arn)
}

/// The account of `arn:<partition>:iam::<account>:role/<path and name>`.
fn account_of_role(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = *parts else { return None };
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let role = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
    (digits && role).then_some(account)
}

#[cfg(test)]
mod tests {
    use portcullis_response::Mode;

    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    const LEAST: [(&str, &str); 5] = [
        ("AWS_REGION", "eu-west-1"),
        ("INCIDENTS_TABLE", "incidents"),
        ("OWN_ROLE_ARN", "arn:aws:iam::111122223333:role/portcullis/responder"),
        ("NOTIFICATIONS_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:incidents"),
        ("AUDIT_TABLE", "audit"),
    ];

    /// The least that is needed, with `pairs` in the place of those of the same name.
    fn read(pairs: Pairs<'_>) -> Result<ResponseConfig, String> {
        let lookup = |name: &str| {
            let all = pairs.iter().chain(&LEAST);
            all.clone().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        let mut settings = Settings::new(lookup);
        let config = ResponseConfig::read(&mut settings);
        settings.finish().map(|()| config.unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shipped_holds_where_nothing_is_set() {
        let config = read(&[]).unwrap();
        assert_eq!(config.incidents_table, "incidents");
        assert_eq!(config.webhook, None);
        assert_eq!((config.block_list_v4, config.block_list_v6), (None, None));
        assert!(config.playbooks.iter().all(|book| book.dry_run), "conservative until turned on");
        assert_eq!(config.playbooks.iter().count(), PLAYBOOKS.len());
        assert_eq!(config.safety.containments_per_hour, 20);
        let expected = Safety::parse(SAFETY).unwrap();
        let role = "arn:aws:iam::111122223333:role/portcullis/responder";
        assert_eq!(config.safety, expected.with_own_role(role).at_home("111122223333", "eu-west-1"));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut settings = Settings::new(|_: &str| None);
        let _config = ResponseConfig::read(&mut settings);
        let error = settings.finish().unwrap_err().to_string();
        for name in
            ["AWS_REGION", "INCIDENTS_TABLE", "OWN_ROLE_ARN", "NOTIFICATIONS_TOPIC_ARN", "AUDIT_TABLE"]
        {
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn own_playbooks_take_the_place_of_those_for_the_same_incidents() {
        let own = "
# ours
---
incident: BACKDOOR
title: Ours
dry_run: false
steps:
  - {step: notify, mode: automatic}
  - {step: deactivate_access_keys, mode: approval}
---
incident: GENERIC
title: Told
dry_run: false
steps:
  - {step: notify, mode: automatic}
---
";
        let books = read(&[("PLAYBOOKS", own)]).unwrap().playbooks;
        let backdoor = books.of(IncidentType::Backdoor);
        assert_eq!((&*backdoor.title, backdoor.dry_run, backdoor.steps.len()), ("Ours", false, 2));
        assert_eq!(backdoor.steps[1].mode, Mode::Approval);
        assert_eq!(books.of(IncidentType::Generic).title, "Told");
        assert!(books.of(IncidentType::CryptoMining).dry_run, "the shipped one");
        assert_eq!(books.iter().count(), PLAYBOOKS.len());
    }

    #[test]
    fn a_short_setting_lets_playbooks_of_either_kind_change_the_account() {
        let live = |pairs: Pairs<'_>| -> Vec<IncidentType> {
            let books = read(pairs).unwrap().playbooks;
            books.iter().filter(|book| !book.dry_run).map(|book| book.incident).collect()
        };
        let own =
            ("PLAYBOOKS", "incident: BACKDOOR\ntitle: Ours\nsteps: [{step: deny_user, mode: automatic}]");
        assert_eq!(live(&[own]), []);
        assert_eq!(live(&[("LIVE_PLAYBOOKS", "none")]), []);
        assert_eq!(live(&[own, ("LIVE_PLAYBOOKS", "BACKDOOR")]), [IncidentType::Backdoor]);
        assert_eq!(live(&[("LIVE_PLAYBOOKS", "DDOS_ATTACK")]), [IncidentType::DdosAttack]);
        assert_eq!(live(&[own, ("LIVE_PLAYBOOKS", "all")]).len(), PLAYBOOKS.len());
    }

    #[test]
    fn settings_are_taken_over_or_refused() {
        let url = ("NOTIFICATION_WEBHOOK_URL", "https://chat.example/hook");
        let secret = ("NOTIFICATION_WEBHOOK_SECRET", "portcullis/notifications");
        let config = read(&[url, secret, ("NOTIFICATIONS_TOPIC_ARN", "")]).unwrap();
        assert_eq!(config.topic, None);
        assert_eq!(config.webhook.unwrap().secret, "portcullis/notifications");
        let list = "arn:aws:wafv2:us-east-1:111122223333:global/ipset/portcullis/0a";
        let lists = [("BLOCK_LIST_IPV4_ARN", list), ("SAFETY", "containments_per_hour: 3")];
        let config = read(&lists).unwrap();
        assert_eq!((config.block_list_v4.as_deref(), config.safety.containments_per_hour), (Some(list), 3));
        let other = "arn:aws:iam::111122223333:role/guard-other";
        let own = [("OTHER_ROLE_ARNS", other), ("STACK_PREFIX", "guard"), ("SAFETY", "{}")];
        let expected = Safety::parse("{}").unwrap().at_home("111122223333", "eu-west-1");
        let expected = expected.with_own_role(LEAST[2].1).with_own_role(other).with_own_prefix("guard");
        assert_eq!(read(&own).unwrap().safety, expected);
        let problems: [(Pairs<'_>, &str); 17] = [
            (&[("OTHER_ROLE_ARNS", "arn:aws:iam::111122223333:role/x,y")], "OTHER_ROLE_ARNS"),
            (&[("STACK_PREFIX", "*")], "STACK_PREFIX"),
            (&[url], "belong together"),
            (&[secret], "belong together"),
            (&[("NOTIFICATION_WEBHOOK_URL", "http://chat.example"), secret], "NOTIFICATION_WEBHOOK_URL"),
            (&[("NOTIFICATIONS_TOPIC_ARN", " ")], "is to be set"),
            (&[("NOTIFICATIONS_TOPIC_ARN", "incidents")], "NOTIFICATIONS_TOPIC_ARN"),
            (
                &[("NOTIFICATIONS_TOPIC_ARN", "arn:aws:sqs:eu-west-1:111122223333:q")],
                "NOTIFICATIONS_TOPIC_ARN",
            ),
            (&[("BLOCK_LIST_IPV6_ARN", "x")], "BLOCK_LIST_IPV6_ARN"),
            (&[("OWN_ROLE_ARN", "responder")], "OWN_ROLE_ARN"),
            (&[("OWN_ROLE_ARN", "arn:aws:iam::111122223333:user/ana")], "OWN_ROLE_ARN"),
            (&[("OWN_ROLE_ARN", "arn:aws:iam::1:role/x")], "OWN_ROLE_ARN"),
            (&[("PLAYBOOKS", "incident: BACKDOOR")], "PLAYBOOKS"),
            (&[("PLAYBOOKS", "nothing")], "PLAYBOOKS"),
            (&[("LIVE_PLAYBOOKS", "BACKDOR")], "LIVE_PLAYBOOKS: unknown variant `BACKDOR`, expected one of"),
            (&[("SAFETY", "containments: 3")], "SAFETY"),
            (&[("AUDIT_TABLE", "")], "AUDIT_TABLE"),
        ];
        for (pairs, said) in problems {
            let error = read(pairs).unwrap_err();
            assert!(error.contains(said), "{pairs:?}: {error}");
        }
    }
}
