//! A bench in a container of the test bed's images, whose only network is its own loopback, with `reno` for congestion control: others
//! pace even there.

use std::process::Command;

/// What the environment says, or else that.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    let set = std::env::var(name).ok().and_then(|value| value.parse().ok());
    set.unwrap_or(otherwise)
}

/// Runs this program with `--inner` in a container of the release that `BENCH_OTP` asks for, and hands these settings on.
pub(crate) fn outer(settings: &[&str]) {
    let program = std::env::current_exe().expect("this program has a path");
    let image = format!("beamnode-otp:{}", setting("BENCH_OTP", 29));
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--init", "--network", "none"]);
    command.args(["--sysctl", "net.ipv4.tcp_congestion_control=reno"]);
    command.args(["--ulimit", "nofile=20000"]);
    command.args(["--hostname", "here", "--add-host", "here:127.0.0.1"]);
    command.args(["--volume", &format!("{}:/bench:ro", program.display())]);
    for name in settings {
        command.args(["--env", name]);
    }
    let status = command.args([&image, "/bench", "--inner"]).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "no run in {image}; tests/bed/images makes it"
    );
}

/// Compiles the module that BEAM nodes play their part with, and starts an EPMD.
pub(crate) fn prepare(module: &str, script: &str) {
    let path = format!("/tmp/{module}.erl");
    std::fs::write(&path, script).expect("a file");
    let compiled = Command::new("erlc").args(["-o", "/tmp", &path]).status();
    assert!(compiled.is_ok_and(|status| status.success()), "erlc");
    let _ = Command::new("epmd").arg("-daemon").status();
}
