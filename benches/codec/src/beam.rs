//! A BEAM that takes part: `beam.erl` in the system of an OTP release, spoken to through its standard input and output.

use beamnode::etf;
use beamnode::term;
use beamnode::term::Term;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running node.
pub struct Beam {
    node: Child,
}

const START: &str = "cd $FOLDER && erlc beam.erl >&2 && exec erl +S 1:1 -noshell -noinput -pa . -s beam main";

impl Beam {
    /// A node of that release, if it can be had.
    pub fn start(release: &str) -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let otp = here.join("../../tests/bed/otp");
        let there = Command::new(&otp).args([release, "--available"]).status();
        there.ok().filter(std::process::ExitStatus::success)?;
        let node = Command::new(&otp)
            .arg(release)
            .arg(here)
            .arg(START)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        Some(Self { node })
    }

    /// Gives the node a file under a name.
    pub fn file(&mut self, name: &str, bytes: &[u8]) {
        let answer = self.ask(&term!({file, (name), (Term::from(bytes::Bytes::copy_from_slice(bytes)))}));
        assert_eq!(answer, term!(ok));
    }

    /// How many nanoseconds that takes so many times.
    pub fn run(&mut self, operation: &'static str, name: &str, times: u32) -> f64 {
        let operation = beamnode::term::Atom::from_static(operation);
        let time = self.ask(&term!({run, (operation), (name), (times)}));
        time.as_integer().expect("nanoseconds") as f64
    }

    fn ask(&mut self, request: &Term) -> Term {
        let bytes = etf::encode(request);
        let input = self.node.stdin.as_mut().expect("piped");
        input
            .write_all(&(bytes.len() as u32).to_be_bytes())
            .expect("the node lives");
        input.write_all(&bytes).expect("the node lives");
        input.flush().expect("the node lives");
        let output = self.node.stdout.as_mut().expect("piped");
        let mut length = [0; 4];
        output.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        output.read_exact(&mut answer).expect("an answer");
        etf::decode(answer).expect("a term")
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        // The end of its input ends the node.
        drop(self.node.stdin.take());
        let _ = self.node.wait();
    }
}
