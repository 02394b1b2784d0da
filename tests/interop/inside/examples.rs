//! The programs of `examples/`, which this program is made of too, so that a case can run them wherever it runs itself.

use std::process::ExitCode;

use super::{LIMIT, rust::RustNode};

#[path = "../../../examples/cluster_worker/main.rs"]
mod cluster_worker;
#[path = "../../../examples/dist_kv/main.rs"]
mod dist_kv;
#[path = "../../../examples/echo/main.rs"]
mod echo;
#[path = "../../../examples/pool/main.rs"]
mod pool;
#[path = "../../../examples/watched/main.rs"]
mod watched;

/// The variable that names the example to be.
pub(super) const VARIABLE: &str = "BED_EXAMPLE";

/// Runs the example that the environment names, if it does.
pub(crate) fn main() -> Option<ExitCode> {
    let result = match std::env::var(VARIABLE).ok()?.as_str() {
        "cluster_worker" => cluster_worker::main(),
        "dist_kv" => dist_kv::main(),
        "echo" => echo::main(),
        "pool" => pool::main(),
        "watched" => watched::main(),
        other => Err(format!("there is no example {other}").into()),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// An example that runs. It is ended when dropped.
pub(crate) struct Example(RustNode);

impl Example {
    pub(super) fn start(name: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self(RustNode::example(name, &arguments))
    }

    /// Waits until it has printed that.
    #[track_caller]
    pub(crate) fn printed(&self, text: &str) -> impl Future<Output = String> {
        self.0.output().wait(text, 1, LIMIT)
    }

    /// Writes it a line.
    pub(crate) async fn line(&self, line: &str) {
        self.0.line(line).await;
    }
}
