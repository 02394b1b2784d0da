//! The example `watched`: its Rust half, and its Erlang half on a BEAM node.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::inside::{Bed, COOKIE};

/// What the Erlang half sees of the Rust process is what the example says.
pub(crate) async fn watched(bed: Bed) {
    let name = format!("watched@{}", bed.rust_host_name());
    let example = bed.example("watched", &[&name, COOKIE]);
    example.printed(" is up").await;
    let alice = bed.erl("alice", "a").start().await;
    let source = BASE64_STANDARD.encode(include_str!("../../../../examples/watched/watched.erl"));
    let compiled = format!(
        "File = filename:join(\"/tmp\", os:getpid() ++ \"/watched\"), ok = filelib:ensure_dir(File), \
         ok = file:write_file(File ++ \".erl\", base64:decode(\"{source}\")), \
         {{ok, watched, Code}} = compile:file(File, [binary]), {{module, watched}} = code:load_binary(watched, File, Code), ok"
    );
    assert_eq!(alice.eval(compiled).await, "ok");
    for (function, expected) in [
        ("monitored", "{{no_number,words},normal}"),
        ("linked", "{crash,shutdown,killed}"),
    ] {
        assert_eq!(
            alice.eval(format!("watched:{function}('{name}')")).await,
            expected
        );
    }
    example.printed("has added up 17").await;
}
