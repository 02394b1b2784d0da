//! The I/O server and those who print, on one node.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use super::fread::{Fread, Step};
use super::tokens::Tokens;
use super::{Input, IoError, Output};
use crate::dist::Cookie;
use crate::etf;
use crate::node::Node;
use crate::term;
use crate::term::{List, Term};

/// A device that keeps what is written.
struct Kept(mpsc::Sender<Vec<u8>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A node that talks to nobody, and what is printed on it.
async fn node() -> (Node, mpsc::Receiver<Vec<u8>>) {
    node_that_reads("").await
}

/// One with input.
async fn node_that_reads(input: &'static str) -> (Node, mpsc::Receiver<Vec<u8>>) {
    let (to, written) = mpsc::channel();
    let node = Node::builder("io@127.0.0.1")
        .cookie(Cookie::new("secret").unwrap())
        .listen(false)
        .output(Output::new(Kept(to)))
        .input(Input::new(input.as_bytes()))
        .start()
        .await
        .unwrap();
    (node, written)
}

fn printed(written: &mpsc::Receiver<Vec<u8>>) -> String {
    String::from_utf8(written.try_iter().flatten().collect()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn user_leads_every_process_and_itself() {
    let (node, _) = node().await;
    let user = node.whereis("user").unwrap();
    assert_eq!(node.process().group_leader(), user);
    let kernel = node.whereis("net_kernel").unwrap();
    assert_eq!(node.process_info(&kernel).unwrap().group_leader, user);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processes_print_comes_out_in_order() {
    let (node, written) = node().await;
    let me = node.process();
    me.print("grüße →\n").await.unwrap();
    let arguments = [Term::Pid(me.pid().clone()), Term::from("x")];
    me.format("~p ~ts~n", &arguments).await.unwrap();
    let text = format!("grüße →\n{} x\n", me.pid().local());
    assert_eq!(printed(&written), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_does_not_suit_is_refused() {
    let (node, written) = node().await;
    let refused = node.process().format("~p~p", &[Term::from(1)]).await;
    assert!(matches!(refused, Err(IoError::Refused(reason)) if reason.is_atom("format")));
    assert_eq!(printed(&written), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_the_node_gives_characters() {
    let (node, written) = node().await;
    node.module("greeter").function("hello", 1, async |_, arguments| {
        Ok(Term::from(format!("hello {}", arguments[0])))
    });
    let me = node.process();
    let name = Term::from(vec![Term::atom("you")]);
    let (put, unicode) = (Term::atom("put_chars"), Term::atom("unicode"));
    let request = (put, unicode, Term::atom("greeter"), Term::atom("hello"), name);
    me.io_request(Term::from(request)).await.unwrap();
    assert_eq!(printed(&written), "hello you");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_gone_is_told() {
    let (node, _) = node().await;
    let me = node.process();
    let leader = node.process();
    me.set_group_leader(leader.pid().clone());
    leader.exit(Term::atom("normal"));
    let answer = tokio::time::timeout(Duration::from_secs(10), me.print("x"))
        .await
        .unwrap();
    assert!(matches!(answer, Err(IoError::Down(reason)) if reason.is_atom("noproc")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_characters_are_read_after_a_prompt() {
    let (node, written) = node_that_reads("grüße\nabc").await;
    let me = node.process();
    assert_eq!(me.get_line("one> ").await.unwrap().as_deref(), Some("grüße\n"));
    assert_eq!(me.get_chars("two> ", 2).await.unwrap().as_deref(), Some("ab"));
    assert_eq!(me.get_line("").await.unwrap().as_deref(), Some("c"));
    assert_eq!(me.get_line("").await.unwrap(), None);
    assert_eq!(printed(&written), "one> two> ");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_request_for_input_is_served() {
    let (node, written) = node_that_reads("a\nb\ncde{x, 1}. 5 x\nf\ng\n→\n").await;
    let me = node.process();
    let ask = async |request: Term| me.io_request(request).await;
    assert_eq!(
        ask(term!({get_line, latin1, ["p"]})).await.unwrap(),
        Term::List(List::from_chars("a\n"))
    );
    assert_eq!(
        ask(term!({get_line, p})).await.unwrap(),
        Term::List(List::from_chars("b\n"))
    );
    assert_eq!(
        ask(term!({get_chars, (Term::from("")), 1})).await.unwrap(),
        Term::List(List::from_chars("c"))
    );
    assert_eq!(ask(term!({setopts, [binary]})).await.unwrap(), Term::atom("ok"));
    assert_eq!(
        ask(term!({get_chars, unicode, (Term::from("")), 2}))
            .await
            .unwrap(),
        Term::from("de")
    );
    let tokens = ask(term!({get_until, unicode, q, erl_scan, tokens, [1]}))
        .await
        .unwrap();
    assert_eq!(
        tokens.to_string(),
        "{ok,[{'{',1},{atom,1,x},{',',1},{integer,1,1},{'}',1},{dot,1}],1}"
    );
    let format = Term::from(vec![Term::List(List::from_chars("~d"))]);
    let read = ask(term!({get_until, (Term::from("")), io_lib, fread, (format)}))
        .await
        .unwrap();
    assert_eq!(read, term!({ok, [5]}));
    let several =
        term!({requests, [{put_chars, unicode, "!"}, {get_line, unicode, "?"}, {get_line, unicode, ""}]});
    assert_eq!(ask(several).await.unwrap(), Term::from("f\n"));
    assert_eq!(
        ask(term!({get_line, unicode, ""})).await.unwrap(),
        Term::from("g\n")
    );
    let untranslatable = ask(term!({get_line, latin1, ""})).await;
    assert!(
        matches!(&untranslatable, Err(IoError::Refused(reason)) if *reason == term!({no_translation, unicode, latin1})),
        "{untranslatable:?}"
    );
    for (request, reason) in [
        (term!({get_password, unicode}), "enotsup"),
        (term!({get_geometry, columns}), "enotsup"),
        (term!({ get_line }), "request"),
        (term!({get_until, unicode, "", no, where, []}), "where"),
        (
            term!({requests, [{put_chars, unicode, "."}, nonsense]}),
            "request",
        ),
    ] {
        let refused = ask(request).await;
        assert!(
            matches!(&refused, Err(IoError::Refused(found)) if found.is_atom(reason)),
            "{reason}: {refused:?}"
        );
    }
    assert_eq!(printed(&written), "ppq!?.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_the_node_takes_input_until_it_is_done() {
    let (node, _) = node_that_reads("1\n2\n3\n4\n").await;
    node.module("sum").function("two", 3, async |_, arguments| {
        let [continuation, data, limit] = arguments.as_slice() else {
            return Ok(Term::NIL);
        };
        let text = String::from_utf8(data.as_list().and_then(List::as_bytes).unwrap().to_vec()).unwrap();
        let sum = continuation.as_integer().unwrap_or(0) + text.trim().parse::<i64>().unwrap();
        Ok(if sum >= limit.as_integer().unwrap() {
            term!({done, (sum), [57, 10]})
        } else {
            term!({more, (sum)})
        })
    });
    let me = node.process();
    let answer = me
        .io_request(term!({get_until, unicode, "", sum, two, [3]}))
        .await;
    assert_eq!(answer.unwrap(), Term::from(3));
    assert_eq!(me.get_line("").await.unwrap().as_deref(), Some("9\n"));
    assert_eq!(me.get_line("").await.unwrap().as_deref(), Some("3\n"));
}

/// Holds whoever reads until it is told something.
struct Held(mpsc::Receiver<&'static str>);

impl std::io::Read for Held {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let text = self.0.recv().unwrap_or_default();
        to[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_goes_on_while_somebody_waits_for_input() {
    let (to, written) = mpsc::channel();
    let (keys, typed) = mpsc::channel();
    let node = Node::builder("io@127.0.0.1")
        .cookie(Cookie::new("secret").unwrap())
        .listen(false)
        .output(Output::new(Kept(to)))
        .input(Input::new(Held(typed)))
        .start()
        .await
        .unwrap();
    let asking = node.process();
    let line = tokio::spawn(async move { asking.get_line("> ").await });
    let prompt = tokio::task::spawn_blocking(move || (written.recv(), written))
        .await
        .unwrap();
    assert_eq!(prompt.0.unwrap(), b"> ");
    node.process().print("meanwhile").await.unwrap();
    assert_eq!(printed(&prompt.1), "meanwhile");
    keys.send("x\n").unwrap();
    assert_eq!(line.await.unwrap().unwrap().as_deref(), Some("x\n"));
}

/// A format or scanner under way.
type Taking = Box<dyn FnMut(Option<&str>) -> Step>;

/// What OTP made of the same, as `fixtures/io/input.erl` wrote it.
#[test]
fn formats_and_tokens_take_input_as_otp_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/io/input.etf");
    let cases = etf::decode(std::fs::read(path).unwrap()).unwrap();
    let (mut count, mut faults) = (0, Vec::new());
    for case in cases.as_list().unwrap().iter() {
        let [kind, arguments, input, result, rest] = case.as_tuple().unwrap().array::<5>().unwrap();
        let text = |term: &Term| super::format::chars::data(term).unwrap();
        let mut step: Taking = if kind.is_atom("fread") {
            let mut fread = Fread::new(&text(&arguments));
            Box::new(move |line| fread.step(line))
        } else {
            let arguments: Vec<Term> = arguments.as_list().unwrap().iter().collect();
            let mut tokens = Tokens::new(&arguments).unwrap();
            Box::new(move |line| tokens.step(line))
        };
        let input = text(&input);
        let mut lines = input.split_inclusive('\n');
        let (found, mut left) = loop {
            if let Step::Done(result, left) = step(lines.next()) {
                break (result, left);
            }
        };
        left.extend(lines);
        count += 1;
        if (&found, left.as_str()) != (&result, text(&rest).as_str()) {
            faults.push(format!(
                "{arguments} {input:?}\n   {found} {left:?}\nnot {result} {:?}",
                text(&rest)
            ));
        }
    }
    assert!(count > 200);
    assert!(
        faults.is_empty(),
        "{} of {count} differ:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
