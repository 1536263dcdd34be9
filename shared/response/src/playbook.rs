//! A playbook is data: incident type to ordered steps (`config/playbooks/*.yml`).

use std::collections::{BTreeMap, HashSet};

use portcullis_detection::IncidentType;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::severity::Band;
use crate::step::{Mode, StepKind};

/// What is done about one type of incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Which incidents it is for.
    pub incident: IncidentType,
    /// Its name, for people.
    pub title: String,
    /// Whether steps that change the account are only planned. True unless the file says otherwise.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// The band from which automatic steps run by themselves; below it they ask.
    #[serde(default = "high")]
    pub automatic_from: Band,
    /// How long an address stays blocked, in hours.
    #[serde(default = "day")]
    pub block_for_hours: u16,
    /// What is done, in order.
    pub steps: Vec<PlaybookStep>,
    /// What people do next.
    #[serde(default)]
    pub next_steps: Vec<String>,
}

/// A step and whether it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybookStep {
    /// Which.
    pub step: StepKind,
    /// Whether.
    pub mode: Mode,
}

/// A playbook for every type of incident.
#[derive(Debug, Clone)]
pub struct Playbooks {
    books: BTreeMap<IncidentType, Playbook>,
    generic: Playbook,
}

/// Everything that is wrong with the playbook files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PlaybookErrors(pub Vec<String>);

impl Playbook {
    /// Reads one file.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        if yaml.len() > MAX_BYTES {
            return Err(format!("larger than {MAX_BYTES} bytes"));
        }
        let book: Self = serde_norway::from_str(yaml).map_err(|e| e.to_string())?;
        book.check().map_or(Ok(book), Err)
    }

    fn check(&self) -> Option<String> {
        let mut seen = HashSet::new();
        if let Some(twice) = self.steps.iter().find(|s| !seen.insert(s.step)) {
            return Some(format!("{} stands twice", twice.step));
        }
        let position = |kind| self.steps.iter().position(|step| step.step == kind && step.mode != Mode::Off);
        // Isolation and detachment disturb what they leave behind: evidence comes first.
        if let Some(evidence) = position(StepKind::CollectEvidence) {
            let early = [StepKind::IsolateInstance, StepKind::DetachFromAutoscaling]
                .into_iter()
                .find(|kind| position(*kind).is_some_and(|at| at < evidence));
            if let Some(early) = early {
                return Some(format!("{early} stands before collect_evidence: evidence comes first"));
            }
        } else if position(StepKind::IsolateInstance).is_some() {
            return Some("isolate_instance without collect_evidence: evidence comes first".to_owned());
        }
        if position(StepKind::ArchiveFinding).is_some_and(|at| at + 1 != self.steps.len()) {
            return Some("archive_finding is the last step".to_owned());
        }
        if self.block_for_hours == 0 || self.block_for_hours > MAX_BLOCK_HOURS {
            return Some(format!("block_for_hours is from 1 to {MAX_BLOCK_HOURS}"));
        }
        let long = |text: &String| text.is_empty() || text.len() > MAX_TEXT;
        if long(&self.title) || self.next_steps.len() > MAX_NEXT_STEPS || self.next_steps.iter().any(long) {
            return Some(format!(
                "title and next steps are texts of at most {MAX_TEXT} bytes; at most {MAX_NEXT_STEPS} next steps"
            ));
        }
        None
    }
}

impl Playbooks {
    /// Reads playbook files: pairs of a file's name and its YAML.
    ///
    /// # Errors
    /// All problems of all files.
    pub fn load<N: AsRef<str>, Y: AsRef<str>>(
        files: impl IntoIterator<Item = (N, Y)>,
    ) -> Result<Self, PlaybookErrors> {
        let (mut books, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, yaml) in files {
            match Playbook::parse(yaml.as_ref()) {
                Err(why) => problems.push(format!("{}: {why}", name.as_ref())),
                Ok(book) => {
                    let incident = book.incident;
                    if books.insert(incident, book).is_some() {
                        problems.push(format!("{}: a second playbook for {incident:?}", name.as_ref()));
                    }
                }
            }
        }
        match books.remove(&IncidentType::Generic) {
            Some(generic) if problems.is_empty() => Ok(Self { books, generic }),
            None if problems.is_empty() => {
                Err(PlaybookErrors(vec!["no playbook for GENERIC, which every unknown incident uses".into()]))
            }
            _ => Err(PlaybookErrors(problems)),
        }
    }

    /// The playbook of a type of incident; without one of its own, the generic one.
    pub fn of(&self, incident: IncidentType) -> &Playbook {
        self.books.get(&incident).unwrap_or(&self.generic)
    }

    /// The same playbooks with dry run off: for an account that is only simulated. What asks for approval still does.
    #[must_use]
    pub fn without_dry_run(mut self) -> Self {
        self.books.values_mut().chain([&mut self.generic]).for_each(|book| book.dry_run = false);
        self
    }

    /// The same playbooks with dry run off for the incidents that `kinds` names: `none`, `all`, or their names as files of
    /// playbooks have them, separated by commas. The others stay as their files say.
    ///
    /// # Errors
    /// A name that is no kind of incident, or one without a playbook of its own: which, for people.
    pub fn live(mut self, kinds: &str) -> Result<Self, String> {
        match kinds.trim() {
            "none" => Ok(self),
            "all" => Ok(self.without_dry_run()),
            names => {
                for name in names.split(',').map(str::trim) {
                    self.own(kind(name)?).ok_or_else(|| format!("no playbook for {name}"))?.dry_run = false;
                }
                Ok(self)
            }
        }
    }

    /// The playbook of just this incident: the generic one is for its own kind alone.
    fn own(&mut self, incident: IncidentType) -> Option<&mut Playbook> {
        match incident {
            IncidentType::Generic => Some(&mut self.generic),
            other => self.books.get_mut(&other),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.books.values().chain([&self.generic])
    }
}

/// The error names every kind that there is.
fn kind(name: &str) -> Result<IncidentType, String> {
    let read = IncidentType::deserialize(name.into_deserializer());
    read.map_err(|e: serde::de::value::Error| e.to_string())
}

const fn yes() -> bool {
    true
}

const fn high() -> Band {
    Band::High
}

const fn day() -> u16 {
    24
}

const MAX_BYTES: usize = 64 * 1024;
const MAX_TEXT: usize = 300;
const MAX_NEXT_STEPS: usize = 20;
const MAX_BLOCK_HOURS: u16 = 24 * 90;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book(rest: &str) -> String {
        format!("incident: BACKDOOR\ntitle: t\n{rest}")
    }

    #[test]
    fn a_playbook_changes_nothing_unless_it_says_so() {
        let book = Playbook::parse(&book("steps: [{step: deny_user, mode: automatic}]")).unwrap();
        assert!(book.dry_run);
        assert_eq!((book.automatic_from, book.block_for_hours), (Band::High, 24));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (case, rest, why) in [
            ("unknown step", "steps: [{step: delete_everything, mode: off}]", "unknown variant"),
            ("unknown mode", "steps: [{step: notify, mode: maybe}]", "unknown variant"),
            ("unknown member", "steps: []\ndryrun: false", "unknown field"),
            ("twice", "steps: [{step: notify, mode: off}, {step: notify, mode: automatic}]", "twice"),
            ("no evidence", "steps: [{step: isolate_instance, mode: approval}]", "evidence comes first"),
            (
                "evidence off",
                "steps: [{step: collect_evidence, mode: off}, {step: isolate_instance, mode: approval}]",
                "evidence comes first",
            ),
            (
                "evidence too late",
                "steps: [{step: detach_from_autoscaling, mode: approval}, {step: collect_evidence, mode: automatic}]",
                "evidence comes first",
            ),
            (
                "archived too early",
                "steps: [{step: archive_finding, mode: automatic}, {step: deny_user, mode: automatic}]",
                "last step",
            ),
            ("blocked for ever", "steps: []\nblock_for_hours: 9999", "block_for_hours"),
            ("a member twice", "steps: []\nsteps: []", "duplicate"),
            ("a list", "- BACKDOOR", ""),
        ] {
            let yaml = if case == "a list" { rest.to_owned() } else { book(rest) };
            let error = Playbook::parse(&yaml).unwrap_err();
            assert!(error.contains(why), "{case}: {error}");
        }
        assert!(Playbook::parse(&"#".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn all_files_are_checked_and_generic_stands_in() {
        let generic = "incident: GENERIC\ntitle: g\nsteps: [{step: notify, mode: automatic}]".to_owned();
        let books = Playbooks::load([("g", &generic), ("b", &book("steps: []"))]).unwrap();
        assert_eq!(books.of(IncidentType::Backdoor).title, "t");
        assert_eq!(books.of(IncidentType::DdosAttack).title, "g");
        assert_eq!(books.iter().count(), 2);
        let error =
            Playbooks::load([("a", "x: 1".to_owned()), ("b", book("steps: 7")), ("g", generic)]).unwrap_err();
        assert_eq!(error.0.len(), 2, "{error}");
        assert!(Playbooks::load([("b", book("steps: []"))]).unwrap_err().to_string().contains("GENERIC"));
        let twice = [("a", book("steps: []")), ("b", book("steps: []"))];
        assert!(Playbooks::load(twice).unwrap_err().to_string().contains("second"));
    }

    #[test]
    fn those_that_are_named_are_live_and_no_other() {
        use IncidentType::{Backdoor, CryptoMining, Generic};
        let generic = "incident: GENERIC\ntitle: g\nsteps: [{step: notify, mode: automatic}]".to_owned();
        let mining = "incident: CRYPTO_MINING\ntitle: m\ndry_run: false\nsteps: []".to_owned();
        let books = Playbooks::load([("g", generic), ("b", book("steps: []")), ("m", mining)]).unwrap();
        let live = |kinds: &str| -> Result<Vec<IncidentType>, String> {
            let books = books.clone().live(kinds)?;
            Ok(books.iter().filter(|book| !book.dry_run).map(|book| book.incident).collect())
        };
        assert_eq!(live("none"), Ok(vec![CryptoMining]), "as its file says");
        assert_eq!(live("BACKDOOR"), Ok(vec![CryptoMining, Backdoor]));
        assert_eq!(live(" BACKDOOR , GENERIC\n"), Ok(vec![CryptoMining, Backdoor, Generic]));
        assert_eq!(live("all"), Ok(vec![CryptoMining, Backdoor, Generic]));
        for (kinds, why) in [
            ("BACKDOR", "unknown variant `BACKDOR`, expected one of `COMPROMISED_CREDENTIALS`"),
            ("backdoor", "unknown variant"),
            ("BACKDOOR,", "unknown variant ``"),
            ("", "unknown variant ``"),
            ("all,BACKDOOR", "unknown variant `all`"),
            ("none,BACKDOOR", "unknown variant `none`"),
            ("BACKDOOR,DDOS_ATTACK", "no playbook for DDOS_ATTACK"),
        ] {
            let error = live(kinds).unwrap_err();
            assert!(error.contains(why), "{kinds}: {error}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(yaml in "[ -~\n]{0,200}") {
            let _verdict = Playbook::parse(&book(&yaml));
        }
    }
}
