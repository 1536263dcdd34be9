//! One untimed pass whose answers are checked, then timed rounds.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

/// What the runner asks for.
pub(crate) struct Job {
    pub(crate) task: String,
    folder: PathBuf,
    seconds: f64,
    /// Exactly this many operations and no untimed pass: for counting instructions.
    ops: Option<u64>,
}

impl Job {
    pub(crate) fn from_args(args: &[String]) -> Option<Self> {
        let (task, rest) = args.split_first()?;
        let (folder, rest) = rest.split_first()?;
        let (seconds, rest) = rest.split_first()?;
        let ops = rest.first().map(|n| n.parse()).transpose().ok()?;
        Some(Self {
            task: task.clone(),
            folder: Path::new(folder).into(),
            seconds: seconds.parse().ok()?,
            ops,
        })
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.folder.join(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.read(name).split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// Runs the job and prints its line.
    pub(crate) fn run<T, O>(
        &self,
        items: &[T],
        size: impl Fn(&T) -> usize,
        mut op: impl FnMut(&T) -> O,
        check: impl FnOnce(&mut dyn Iterator<Item = O>) -> Value,
    ) {
        let (mut checked, mut all) = (Value::Null, 0_u64);
        if self.ops.is_none() {
            checked = check(&mut items.iter().map(&mut op));
            all = items.len() as u64;
        }
        let (mut ops, mut bytes) = (0_u64, 0_u64);
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let mut next = items.iter().cycle();
        loop {
            for item in next.by_ref().take(16) {
                if self.ops.is_some_and(|most| ops >= most) {
                    break;
                }
                std::hint::black_box(op(item));
                bytes += size(item) as u64;
                ops += 1;
            }
            let done = match self.ops {
                Some(most) => ops >= most,
                None => wall.elapsed().as_secs_f64() >= self.seconds,
            };
            if done {
                break;
            }
        }
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!(
            "{}",
            json!({"task": self.task, "ops": ops, "ops_all": all + ops, "bytes": bytes, "wall_s": wall,
                   "cpu_s": cpu, "rss_kb": peak_rss_kb(), "check": checked})
        );
    }
}

/// CPU time of this process, from `/proc/self/schedstat` of its threads, in seconds.
fn cpu_seconds() -> f64 {
    let nanos: u64 = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e9
}

fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
