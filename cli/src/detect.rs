//! `portcullis detect`.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use portcullis_base::{Clock, Timestamp};
use portcullis_detection::{Context, Detector, Hit, MemoryState, RuleSet, SHIPPED, records};

use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::table::printable;

/// Prints a line for every hit of the detection rules on CloudTrail records: event id, time, principal, rule id, title,
/// severity, ATT&CK techniques, incident type (separated by tabs). Reads log files (plain or gzip), EventBridge
/// envelopes, arrays and JSON lines.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis detect logs/*.json.gz --rules my-rules/ --json | jq -r .title | sort | uniq -c"
)]
pub(crate) struct Args {
    /// Files with CloudTrail records, or - for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    detector: DetectorArgs,
}

/// What is detected.
#[derive(Debug, clap::Args)]
pub(crate) struct DetectorArgs {
    /// Folder of Sigma rules (*.yml) to add to the shipped ones.
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Use only the rules of --rules.
    #[arg(long, requires = "rules")]
    no_shipped_rules: bool,
    /// What is normal here: working hours, networks, automation, accounts (see config/context.yml).
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
}

#[derive(Default)]
struct Tally {
    records: usize,
    hits: usize,
    unreadable: usize,
}

pub(crate) async fn run(args: &Args, output: &Output, clock: &impl Clock) -> Result<(), Failure> {
    let detector = args.detector.detector()?;
    let (state, mut tally) = (MemoryState::default(), Tally::default());
    for file in &args.files {
        scan(file, &detector, &state, clock.now(), output, &mut tally).await?;
    }
    match tally {
        Tally { unreadable: 0, hits: 0, .. } => Ok(()),
        Tally { unreadable: 0, hits, records } => {
            Err(Failure::refused(format!("hits: {hits}, records: {records}")))
        }
        Tally { unreadable, hits, records } => {
            Err(Failure::usage(format!("unreadable: {unreadable}, hits: {hits}, records: {records}")))
        }
    }
}

impl DetectorArgs {
    /// The detector with these rules, in this context.
    pub(crate) fn detector(&self) -> Result<Detector, Failure> {
        Ok(Detector::new(rules(self)?, context(self)?))
    }
}

async fn scan(
    file: &Path,
    detector: &Detector,
    state: &MemoryState,
    now: Timestamp,
    output: &Output,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let bytes = read(file)?;
    for record in records(&bytes) {
        let examined = match record {
            Ok(record) => {
                tally.records += 1;
                detector.examine(&record, state, now).await.map_err(|e| e.to_string())
            }
            Err(unreadable) => Err(unreadable.to_string()),
        };
        match examined {
            Ok(hits) => {
                tally.hits += hits.len();
                hits.iter().try_for_each(|hit| print(output, hit))?;
            }
            Err(why) => {
                tally.unreadable += 1;
                output.error(&Failure::usage(format!("{}: {}", file.display(), printable(&why))));
            }
        }
    }
    Ok(())
}

fn print(output: &Output, hit: &Hit) -> Result<(), Failure> {
    output.line(hit, || {
        let techniques = hit.techniques.join(",");
        let (time, severity, incident) =
            (hit.time.to_string(), hit.severity.as_str(), hit.incident_type.as_str());
        let columns =
            [&hit.event_id, &time, &hit.principal, &hit.rule_id, &hit.title, severity, &techniques, incident];
        columns.map(printable).join("\t")
    })
}

/// A file of records, unpacked.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    unpacked(file, input::read(file, MAX_FILE_BYTES)?)
}

/// The bytes as they are, or what gzip holds in them.
fn unpacked(file: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(&*bytes).take(MAX_FILE_BYTES + 1).read_to_end(&mut plain);
    read.map_err(|e| input::unreadable(file, &e))?;
    if plain.len() as u64 > MAX_FILE_BYTES {
        return Err(input::wrong(file, &format_args!("larger than {MAX_FILE_BYTES} bytes when unpacked")));
    }
    Ok(plain)
}

fn rules(args: &DetectorArgs) -> Result<RuleSet, Failure> {
    let mut files = Vec::new();
    if !args.no_shipped_rules {
        files.extend(SHIPPED.map(|(name, yaml)| (name.to_owned(), yaml.to_owned())));
    }
    for folder in &args.rules {
        files.extend(rule_files(folder)?);
    }
    RuleSet::load(files).map_err(|errors| Failure::usage(errors.to_string()))
}

/// The rule files of a folder and its subfolders, in the order of their names.
fn rule_files(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    let mut files = Vec::new();
    for path in input::folder(folder)? {
        if path.is_dir() && !path.is_symlink() {
            files.extend(rule_files(&path)?);
        } else if input::ends_with(&path, &["yml", "yaml"]) {
            files.push((path.display().to_string(), input::text(&path, MAX_RULE_BYTES)?));
        }
    }
    Ok(files)
}

fn context(args: &DetectorArgs) -> Result<Context, Failure> {
    let Some(path) = &args.context else { return Ok(Context::default()) };
    Context::parse(&input::text(path, MAX_RULE_BYTES)?).map_err(|e| input::wrong(path, &e))
}

/// Largest input file, packed and unpacked.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Largest rule or context file that is read at all; the rooms' own bounds are narrower.
const MAX_RULE_BYTES: u64 = 1 << 20;
/// RFC 1952, section 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
