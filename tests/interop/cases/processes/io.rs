//! The I/O protocol between a BEAM node and ours: who prints and reads on whose device.

use std::io::Write;

use beamnode::node::{Node, SpawnOptions};
use beamnode::otp::io::{Input, Output};
use beamnode::term;
use beamnode::term::{Atom, Term};
use tokio::sync::mpsc;

use super::next;
use crate::inside::{Beam, Bed, COOKIE, LIMIT};

/// What is written to a device.
struct Written(mpsc::UnboundedReceiver<Vec<u8>>);

impl Written {
    /// Waits until it is at least as long as what is expected, and gives it.
    async fn next(&mut self, expected: &str) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < expected.len() {
            match tokio::time::timeout(LIMIT, self.0.recv()).await {
                Ok(Some(more)) => bytes.extend(more),
                _ => break,
            }
        }
        String::from_utf8(bytes).unwrap()
    }
}

struct Device(mpsc::UnboundedSender<Vec<u8>>);

impl Write for Device {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A node of ours with a device of its own, and alice.
async fn nodes(bed: &Bed, input: &'static str) -> (Node, Written, Beam) {
    let alice = bed.erl("alice", "a").start().await;
    let (to, written) = mpsc::unbounded_channel();
    let node = Node::builder(format!("asking@{}", bed.rust_host_name()))
        .cookie(COOKIE)
        .output(Output::new(Device(to)))
        .input(Input::new(input.as_bytes()))
        .start()
        .await
        .unwrap();
    node.ping(alice.node()).await.unwrap();
    (node, Written(written), alice)
}

/// What a process prints that ours has spawned on a BEAM node comes out here.
pub(crate) async fn output_of_theirs(bed: Bed) {
    let (node, mut written, alice) = nodes(&bed, "").await;
    let me = node.process();
    let text = |text: &str| Term::List(term::List::from_chars(text));
    for (function, arguments, expected) in [
        ("put_chars", vec![text("plain\n")], "plain\n"),
        ("put_chars", vec![Term::from("grüße →\n")], "grüße →\n"),
        (
            "format",
            vec![text("~p ~ts ~w~n"), term!([{a, [1, 2]}, "x→", "y"])],
            "{a,[1,2]} x→ <<121>>\n",
        ),
        ("write", vec![term!({a, "b"})], "{a,<<98>>}"),
        ("nl", vec![], "\n"),
        (
            "fwrite",
            vec![text("~10.3f|~-5w|~5s|~c~n"), {
                let padded = [term!(2.5), term!(ab), text("cd"), Term::from(101)];
                Term::from(padded.to_vec())
            }],
            "     2.500|ab   |   cd|e\n",
        ),
    ] {
        me.spawn_on(alice.node(), ("io", function), arguments, SpawnOptions::default())
            .await
            .unwrap();
        assert_eq!(written.next(expected).await, expected, "io:{function}");
    }
    // One that such a process spawns in turn prints here too.
    let applied = vec![
        Term::atom("io"),
        Term::atom("put_chars"),
        Term::from(vec![text("grandchild\n")]),
    ];
    me.spawn_on(
        alice.node(),
        ("erlang", "spawn"),
        applied,
        SpawnOptions::default(),
    )
    .await
    .unwrap();
    assert_eq!(written.next("grandchild\n").await, "grandchild\n");
    node.shutdown().await;
}

/// The device of the subject prints in both encodings, what it is given and what a function makes, and says what it is. Nobody types at it.
pub(crate) async fn device(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.erl("alice", "a").start().await;
    let node = subject.node();
    for (request, expected) in [
        ("{setopts, [{encoding, unicode}]}", "ok"),
        (
            "{put_chars, unicode, <<\"<unicode \", 16#2192/utf8, \">\\n\">>}",
            "ok",
        ),
        ("{put_chars, latin1, \"<latin1>\\n\"}", "ok"),
        ("{put_chars, \"<old>\\n\"}", "ok"),
        (
            "{put_chars, unicode, io_lib, format, [\"<made ~p ~ts>~n\", [{a, 1}, [16#2192]]]}",
            "ok",
        ),
        (
            "{put_chars, latin1, io_lib, format, [\"<made latin1 ~p>~n\", [{a, 1}]]}",
            "ok",
        ),
        (
            "{put_chars, io_lib, format, [\"<made old ~s>~n\", [\"x\"]]}",
            "ok",
        ),
        (
            "{requests, [{put_chars, unicode, \"<one>\"}, {put_chars, unicode, \"<two>\\n\"}]}",
            "ok",
        ),
        ("{put_chars, unicode, no, where, []}", "{error,"),
        ("{put_chars, unicode, io_lib, format, [\"~p\", []]}", "{error,"),
        ("nonsense", "{error,"),
    ] {
        let ask = format!("io:request(rpc:call('{node}', erlang, whereis, [user]), {request})");
        let answer = alice.eval(ask).await;
        assert!(answer.text().starts_with(expected), "{request}: {answer:?}");
    }
    for text in [
        "<unicode →>",
        "<latin1>",
        "<old>",
        "<made {a,1} →>",
        "<made latin1 {a,1}>",
        "<made old x>",
        "<one><two>",
    ] {
        subject.await_printed(text).await;
    }
    // What `io` makes of the answers of a device that is no terminal.
    let user = format!("rpc:call('{node}', erlang, whereis, [user])");
    let asked = format!(
        "U = {user}, [io:columns(U), io:rows(U), proplists:get_value(encoding, io:getopts(U)), element(1, io:get_password(U))]"
    );
    assert_eq!(
        alice.eval(asked).await,
        "[{error,enotsup},{error,enotsup},unicode,error]"
    );
}

/// Our `user` answers every request for input as an I/O server of OTP does that has the same input.
pub(crate) async fn input_of_ours(bed: Bed) {
    let alice = bed.erl("text", "a").start().await;
    let input = alice.eval("io_asks:input()").await;
    let text = beamnode::etf::decode(input.bytes().to_vec()).unwrap();
    let text: String = text
        .as_list()
        .unwrap()
        .iter()
        .filter_map(|code| char::from_u32(u32::try_from(code.as_integer()?).ok()?))
        .collect();
    let (node, _written, alice) = nodes(&bed, text.leak()).await;
    let same = format!(
        "io_asks:same(rpc:call('{}', erlang, whereis, [user]))",
        node.name().as_str()
    );
    assert_eq!(alice.eval(same).await, "same");
    node.shutdown().await;
}

/// A function of ours that is called or spawned from a BEAM node prints and reads on the group leader of whoever did.
pub(crate) async fn on_their_leader(bed: Bed) {
    let (node, _written, alice) = nodes(&bed, "").await;
    node.module("shy").function("ask", 0, async |me, _| {
        let line = match me.get_line("name? ").await {
            Ok(line) => line,
            Err(error) => return Ok(Term::from(error.to_string())),
        };
        let chars = me.get_chars("", 2).await.ok().flatten();
        me.format("~ts has ~p~n", &[line.clone().into_term(), term!({1, [a]})])
            .await
            .ok();
        me.print("grüße\n").await.ok();
        let end = me.get_line("").await.ok().flatten();
        Ok(term!({(line.into_term()), (chars.into_term()), (end.into_term())}))
    });
    // A process of its own speaks the protocol for the shell, and keeps what it is asked.
    alice
        .eval(
            "Leader = spawn(fun L() -> receive {io_request, F, R, Q} -> \
             A = case Q of {get_line, unicode, P} when P =:= <<\"name? \">>; P =:= \"name? \" -> \"anna\n\"; \
                 {get_chars, unicode, _, 2} -> <<\"xy\">>; {get_line, _, _} -> eof; _ -> ok end, \
             shy_log ! {asked, Q}, F ! {io_reply, R, A}, L() end end), register(shy_log, self()), ok",
        )
        .await;
    let answer = alice
        .eval(format!(
            "Own = group_leader(), group_leader(Leader, self()), A0 = rpc:call('{}', shy, ask, []), group_leader(Own, self()), A0",
            node.name().as_str()
        ))
        .await;
    assert_eq!(answer, "{<<\"anna\\n\">>,<<\"xy\">>,undefined}");
    let asked = alice
        .eval("[element(1, Q1) || Q1 <- [receive {asked, Q0} -> Q0 end || _ <- [1, 2, 3, 4, 5]]]")
        .await;
    assert_eq!(asked, "[get_line,get_chars,put_chars,put_chars,get_line]");
    // On a real device of theirs.
    node.module("shy").function("print", 0, async |me, _| {
        me.print("printed by rust\n").await.ok();
        Ok(Term::atom("ok"))
    });
    alice
        .eval(format!(
            "Own1 = group_leader(), group_leader(whereis(user), self()), spawn('{}', shy, print, []), group_leader(Own1, self()), ok",
            node.name().as_str()
        ))
        .await;
    alice.await_log("printed by rust", 1, LIMIT).await;
    node.shutdown().await;
}

/// When a node goes whose process has asked for input of ours until its end, the next one is served.
pub(crate) async fn asking_node_goes(bed: Bed) {
    let (node, mut written, alice) = nodes(&bed, "only line\n").await;
    let mut me = node.process();
    let pid = Term::from(me.pid().clone());
    me.spawn_on(
        alice.node(),
        ("io_asks", "spawned"),
        [pid],
        SpawnOptions::default(),
    )
    .await
    .unwrap();
    let answers = next(&mut me).await.to_string();
    assert!(answers.starts_with("{answers,["), "{answers}");
    alice.kill().await;
    node.process().print("still here").await.unwrap();
    let printed = written.next("promptstill here").await;
    assert_eq!(printed, "promptstill here");
    node.shutdown().await;
}

/// Text that may not be, as a term.
trait IntoTerm {
    fn into_term(self) -> Term;
}

impl IntoTerm for Option<String> {
    fn into_term(self) -> Term {
        self.map_or(Term::Atom(Atom::from_static("undefined")), Term::from)
    }
}
