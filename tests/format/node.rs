//! Nodes that evaluate formats.

use beamnode::etf;
use beamnode::otp::io::{Formatter, PrintableRange};
use beamnode::term::{Atom, Term};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A format, its arguments as the node has them, and what it made of them.
pub(crate) struct Case {
    pub(crate) format: Term,
    pub(crate) arguments: Term,
    /// `None` for an error.
    pub(crate) text: Option<Vec<u8>>,
    /// Whether the node came to no result.
    is_stuck: bool,
}

impl Case {
    pub(crate) fn read(term: &Term) -> Self {
        let [format, arguments, result] = term.as_tuple().unwrap().array::<3>().unwrap();
        let text = result.as_binary().map(|text| text.to_vec());
        Self {
            format,
            arguments,
            text,
            is_stuck: result.is_atom("stuck"),
        }
    }

    /// What is different, if something is.
    pub(crate) fn fault(&self, range: PrintableRange) -> Option<String> {
        let formatter = Formatter::new()
            .printable(range)
            .node(Atom::from_static("nonode@nohost"), 0);
        let ours = formatter.format_terms(&self.format, &self.arguments);
        let same = match (&ours, &self.text) {
            (Ok(ours), Some(theirs)) => ours.as_bytes() == theirs,
            (Err(_), None) => true,
            _ if self.is_stuck => true,
            _ => false,
        };
        let show = |text: &[u8], from: usize| {
            let end = text.len().min(from + 100);
            String::from_utf8_lossy(&text[from.min(end)..end]).into_owned()
        };
        (!same).then(|| {
            let ours = ours.map(String::into_bytes);
            let both = self.text.iter().flatten().zip(ours.iter().flatten());
            let from = both.take_while(|(a, b)| a == b).count().saturating_sub(30);
            format!(
                "format({:#}, {:.1000})\n  from byte {from} on\n  theirs {:?}\n  ours   {:?}",
                self.format,
                format!("{:#}", self.arguments),
                self.text.as_ref().map(|text| show(text, from)),
                ours.as_ref().map(|text| show(text, from)),
            )
        })
    }
}

/// A node that evaluates.
pub(crate) struct Evaluator {
    node: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Evaluator {
    /// A node of OTP 29 with that range of printable characters, if it can be had.
    pub(crate) fn start(range: PrintableRange) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let otp = folder.join("tests/bed/otp");
        let available = Command::new(&otp).args(["29", "--available"]).status();
        if !available.is_ok_and(|status| status.success()) {
            return None;
        }
        let flag = match range {
            PrintableRange::Latin1 => "latin1",
            PrintableRange::Unicode => "unicode",
        };
        let evaluate =
            format!("exec erl +pc {flag} -noinput -boot start_clean -eval \"$(cat $FOLDER/evaluate)\"");
        let mut node = Command::new(&otp)
            .arg("29")
            .arg(folder.join("tests/format"))
            .arg(evaluate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Self {
            to: node.stdin.take().unwrap(),
            from: node.stdout.take().unwrap(),
            node,
        })
    }

    pub(crate) fn evaluate(&mut self, cases: &[(Term, Term)]) -> Vec<Case> {
        let cases: Term = cases
            .iter()
            .map(|(format, arguments)| Term::from((format.clone(), arguments.clone())))
            .collect::<Vec<_>>()
            .into();
        let bytes = etf::encode(&cases);
        let length = u32::try_from(bytes.len()).unwrap();
        self.to.write_all(&length.to_be_bytes()).unwrap();
        self.to.write_all(&bytes).unwrap();
        self.to.flush().unwrap();
        let mut length = [0; 4];
        self.from.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.from.read_exact(&mut bytes).unwrap();
        let results = etf::decode(bytes).unwrap();
        results
            .as_list()
            .unwrap()
            .iter()
            .map(|case| Case::read(&case))
            .collect()
    }

    pub(crate) fn stop(mut self) {
        drop(self.to);
        self.node.wait().unwrap();
    }
}
