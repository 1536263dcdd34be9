//! Runs a command beside emulated AWS services, with the environment of the Lambda functions set: for
//! `cargo lambda watch`, and for whoever wants to try a function by hand.
//!
//! ```sh
//! with-emulators cargo lambda watch
//! ```

use std::process::{Command, ExitCode};

use portcullis_tests::emulators::{Emulator, deploy_stack};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a command tells its user what it does")]
async fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: with-emulators COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let stack = Box::pin(deploy_stack(&Emulator::ministack().account())).await;
    eprintln!(
        "with-emulators: queues, tables, keys, bucket and secrets are there; they go when the command ends"
    );
    // The emulator lives as long as this process does: so the command is waited for.
    match Command::new(&program).args(words).envs(stack.env()).status() {
        Ok(status) => {
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("with-emulators: {}: {error}", program.display());
            ExitCode::from(2)
        }
    }
}
