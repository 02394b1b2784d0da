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
    let wanted = std::env::var("BEAMNODE_OTP").unwrap_or_else(|_| "23 25 27 29".to_owned());
    let mut judges = Vec::new();
    for release in wanted
        .split_whitespace()
        .filter_map(|release| release.parse().ok())
    {
        let image = format!("beamnode-otp:{release}");
        let known = Command::new("docker")
            .args(["image", "inspect", &image])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !known.is_ok_and(|status| status.success()) {
            continue;
        }
        let mut docker = Command::new("docker");
        docker.args(["run", "--rm", "-i", "--network", "none", "-v"]);
        docker
            .arg(format!("{}:/judge:ro", source.display()))
            .arg(image)
            .args(["sh", "-c", START]);
        judges.push(Judge::start(release, docker));
    }
    if judges.is_empty() {
        let release = Command::new("erl")
            .args([
                "-noshell",
                "-eval",
                "io:put_chars(erlang:system_info(otp_release)), halt().",
            ])
            .output();
        let release = release
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok()?.parse().ok());
        if let Some(release) = release {
            let mut shell = Command::new("sh");
            shell.args(["-c", &START.replace("/judge", &source.display().to_string())]);
            judges.push(Judge::start(release, shell));
        }
    }
    judges
}

const START: &str = "set -e; dir=$(mktemp -d); cd $dir; erlc /judge/judge.erl >&2; \
                     exec erl -noshell -noinput -pa $dir -s judge main";

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
