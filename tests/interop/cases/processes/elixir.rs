//! What Elixir's `Node` and `Process` do with processes of the subject.

use crate::inside::{Bed, LIMIT};

/// Spawned, linked, monitored, killed, in Elixir's words.
pub(crate) async fn in_elixir(bed: Bed) {
    let subject = bed.subject().start().await;
    let alice = bed.elixir("alice", "a").start().await;
    let node = subject.node();
    assert_eq!(
        alice.eval(format!("n = :\"{node}\"\nNode.ping(n)")).await,
        ":pong"
    );
    let next = "receive do x -> x after 30_000 -> :none end";
    for (code, expected) in [
        (
            format!("Node.spawn(n, :erlang, :send, [self(), :hello])\n{next}"),
            ":hello",
        ),
        (
            format!(
                "Process.flag(:trap_exit, true)\nNode.spawn_link(n, :erlang, :exit, [{{:bye, \"now\"}}])\n{next} |> elem(2)"
            ),
            "{:bye, \"now\"}",
        ),
        (
            format!(
                "{{p, r}} = :erlang.spawn_monitor(n, :timer, :sleep, [:infinity])\nProcess.exit(p, :kill)\n{next} == {{:DOWN, r, :process, p, :killed}}"
            ),
            "true",
        ),
        (
            format!(
                "r = Process.monitor({{:nobody, n}})\n{next} == {{:DOWN, r, :process, {{:nobody, n}}, :noproc}}"
            ),
            "true",
        ),
        (
            "r = Process.monitor({:echo, n})\nProcess.demonitor(r, [:flush, :info])".to_owned(),
            "true",
        ),
        (
            format!(
                "p = Node.spawn(n, :timer, :sleep, [:infinity])\nProcess.link(p)\nProcess.unlink(p)\nr = Process.monitor(p)\nProcess.exit(p, :over)\n{next} == {{:DOWN, r, :process, p, :over}}"
            ),
            "true",
        ),
        (
            format!(
                "p = Node.spawn_link(n, :timer, :sleep, [:infinity])\nProcess.exit(p, :shutdown)\n{next} == {{:EXIT, p, :shutdown}}"
            ),
            "true",
        ),
        (
            format!("p = Node.spawn(n, &:erlang.self/0)\nr = Process.monitor(p)\n{next} |> elem(1) == r"),
            "true",
        ),
        (
            format!(
                "{{_, r}} = :erlang.spawn_monitor(n, :no, :where, [1])\n{{:DOWN, ^r, _, _, {{:undef, [{{:no, :where, [1], []}} | _]}}}} = {next}\n:undef"
            ),
            ":undef",
        ),
        ("receive do x -> x after 0 -> :nothing end".to_owned(), ":nothing"),
    ] {
        assert_eq!(
            alice.eval_in("main", code.clone(), LIMIT).await,
            expected,
            "{code}"
        );
    }
}
