//! `portcullis drill`: plays recorded attacks into a running stack, and shows what it made of them.

mod attack;
mod outcome;
mod play;
mod shipped;

use std::path::PathBuf;

use portcullis_base::Clock;
use portcullis_lambda::SystemClock;
use serde::Serialize;

use self::attack::Attack;
use self::outcome::Outcome;
use self::play::Played;
use crate::api::{Api, ApiArgs};
use crate::config::Environment;
use crate::failure::Failure;
use crate::incident;
use crate::output::Output;

pub(crate) use self::outcome::outcomes_table;
pub(crate) use self::play::send;

/// Play recorded attacks into a running local stack, and say what was seen, what was contained, and how long each took.
///
/// The shipped attacks (events/drill) say what is expected of each; a refused attempt that must be seen and left alone, and a
/// deployment that must not be seen at all, are among them. At the end everything that was contained is released.
///
/// Files of your own are CloudTrail records (as portcullis detect takes them) or one GuardDuty finding, one attack a file. They
/// are played as of now, under new event ids. Expected of them: that something is seen, and that what the playbooks do about
/// it comes to its end.
///
/// The local stack responds in a SIMULATED account. A stack in AWS takes no events this way: there, GuardDuty's sample
/// findings show that it works, and are never contained. Exit code 1 where something was not as expected.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis drill\n  portcullis drill my-recordings/*.json --keep\n  portcullis drill --json | jq 'select(.as_expected == false)'"
)]
pub(crate) struct Args {
    /// Recordings to play in place of the shipped ones, or - for standard input.
    files: Vec<PathBuf>,
    /// Release nothing: portcullis incident list shows what was done.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// What a drill came to.
#[derive(Debug, Serialize)]
pub(crate) struct Totals {
    played: usize,
    seen: usize,
    contained: usize,
    released: usize,
    as_expected: usize,
    seconds: f64,
    not_as_expected: Vec<String>,
    not_released: Vec<String>,
}

pub(crate) async fn run(args: &Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    let api = args.api.connect(environment)?;
    let attacks = if args.files.is_empty() { attack::shipped()? } else { attack::of_files(&args.files)? };
    let totals = drill(output, &api, &attacks, args.keep).await?;
    output.line(&totals, || totals.in_words(args.keep))?;
    if totals.not_as_expected.is_empty() && totals.not_released.is_empty() {
        return Ok(());
    }
    Err(Failure::refused([totals.not_as_expected, totals.not_released].concat().join("; ")))
}

/// Plays one shipped attack and releases it: what a person sees when the stack starts.
pub(crate) async fn sample(api: &Api) -> Result<(Vec<Outcome>, Totals), Failure> {
    let attacks = attack::shipped()?;
    let first = attacks.get(..1).unwrap_or_default();
    play_all(api, first, false, |_| Ok(())).await
}

async fn drill(output: &Output, api: &Api, attacks: &[Attack], keep: bool) -> Result<Totals, Failure> {
    let each = |outcome: &Outcome| if output.is_json() { output.line(outcome, String::new) } else { Ok(()) };
    let (outcomes, totals) = play_all(api, attacks, keep, each).await?;
    if !output.is_json() {
        output.text(&outcomes_table(&outcomes).to_string())?;
    }
    Ok(totals)
}

async fn play_all(
    api: &Api,
    attacks: &[Attack],
    keep: bool,
    each: impl Fn(&Outcome) -> Result<(), Failure>,
) -> Result<(Vec<Outcome>, Totals), Failure> {
    let started = SystemClock.now();
    let (mut all, mut outcomes) = (Vec::new(), Vec::new());
    for attack in attacks {
        let played = play::play(api, attack).await?;
        let outcome = Outcome::of(attack, &played);
        each(&outcome)?;
        outcomes.push(outcome);
        all.push(played);
    }
    let mut totals = Totals::of(&outcomes);
    if !keep {
        release_all(api, &all, &mut totals).await?;
    }
    totals.seconds = started.duration_until(SystemClock.now()).as_secs_f64();
    Ok((outcomes, totals))
}

/// The newest first, as a list shows them; any order leaves the same.
async fn release_all(api: &Api, played: &[Played], totals: &mut Totals) -> Result<(), Failure> {
    let incidents = played.iter().flat_map(|played| &played.incidents);
    let open: Vec<_> = incidents.filter(|incident| outcome::is_open(incident)).collect();
    for incident in open.into_iter().rev() {
        let released = incident::release(api, &format!("/incidents/{}", incident.id)).await?;
        totals.released += 1;
        totals.not_released.extend(released.not_released);
    }
    Ok(())
}

impl Totals {
    fn of(outcomes: &[Outcome]) -> Self {
        let count = |test: &dyn Fn(&&Outcome) -> bool| outcomes.iter().filter(test).count();
        let wrong = outcomes.iter().filter(|o| !o.as_expected);
        Self {
            played: outcomes.len(),
            seen: count(&|o| !o.seen.is_empty()),
            contained: count(&|o| !o.contained.is_empty()),
            released: 0,
            as_expected: count(&|o| o.as_expected),
            seconds: 0.0,
            not_as_expected: wrong.map(|o| format!("{}: {}", o.title, o.why_not.join(", "))).collect(),
            not_released: Vec::new(),
        }
    }

    pub(crate) fn in_words(&self, keep: bool) -> String {
        let Self { played, seen, contained, released, as_expected, seconds, .. } = self;
        let end = if keep {
            "nothing released: portcullis incident list".to_owned()
        } else if self.not_released.is_empty() {
            format!("{released} released, and nothing of them is left")
        } else {
            format!("{released} released, NOT everything: {}", self.not_released.join("; "))
        };
        format!(
            "{played} played in {seconds:.1} s: {seen} seen, {contained} contained, {end}. {as_expected} of {played} as expected."
        )
    }
}
