//! A live node that judges terms.

use beamnode::etf;
use beamnode::term::Term;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running node, spoken to through its standard input and output.
pub(crate) struct Judge {
    pub(crate) release: u32,
    node: Child,
}

/// A judge for every release that can be had.
pub(crate) fn available() -> Vec<Judge> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terms");
    let otp = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/otp");
    let wanted = std::env::var("BEAMNODE_OTP").unwrap_or_else(|_| "23 25 27 29".to_owned());
    let mut judges = Vec::new();
    for release in wanted.split_whitespace() {
        let here = Command::new(&otp).args([release, "--available"]).status();
        if let (Ok(true), Ok(number)) = (here.map(|status| status.success()), release.parse()) {
            let mut command = Command::new(&otp);
            command.arg(release).arg(&source).arg(START);
            judges.push(Judge::start(number, command));
        }
    }
    judges
}

const START: &str = "cd $FOLDER && erlc judge.erl >&2 && exec erl -noshell -noinput -pa . -s judge main";

impl Judge {
    fn start(release: u32, mut command: Command) -> Self {
        let node = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { release, node }
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Term) -> Term {
        let bytes = etf::encode(request);
        let input = self.node.stdin.as_mut().unwrap();
        input.write_all(&(bytes.len() as u32).to_be_bytes()).unwrap();
        input.write_all(&bytes).unwrap();
        input.flush().unwrap();
        let output = self.node.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        output.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        output.read_exact(&mut answer).unwrap();
        etf::decode(answer).unwrap()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // The end of its input ends the node.
        drop(self.node.stdin.take());
        let _ = self.node.wait();
    }
}
