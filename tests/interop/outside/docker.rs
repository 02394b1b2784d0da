//! The Docker engine, by its command line: one function a thing the bed asks of it, and the label by which everything this
//! run made is found again, by this run when it ends or by the next when it could not.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Stdio,
    sync::LazyLock,
};

use tokio::process::Command;

/// What every container and network of the bed carries; the value says whose it is.
const LABEL: &str = "beamnode.bed";

/// This run: host, process id and the process's start time, so that a later run can tell whether we still live.
static RUN: LazyLock<String> = LazyLock::new(|| {
    let pid = std::process::id();
    format!("{}/{pid}/{}", host_name(), start_time(pid).unwrap_or_default())
});

/// Runs `docker` to its end and gives what it printed.
pub(super) async fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("docker cannot be run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = [output.stdout, output.stderr].concat();
        Err(format!(
            "docker {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&said).trim()
        ))
    }
}

/// Whether an engine answers.
pub(super) async fn answers() -> bool {
    docker(&["version", "--format", "{{.Server.Version}}"])
        .await
        .is_ok()
}

pub(super) fn image(release: u32) -> String {
    format!("beamnode-otp:{release}")
}

pub(super) async fn has_image(release: u32) -> bool {
    docker(&["image", "inspect", "--format", "there", &image(release)])
        .await
        .is_ok()
}

/// A network of an engine's own choice; where it has no more to choose from, because many runs go side by side, one of
/// those that RFC 2544 keeps for tests.
pub(super) async fn create_network(name: &str) -> Result<(), String> {
    let label = format!("{LABEL}={}", *RUN);
    let create = ["network", "create", "--label", &label];
    let mut created = docker(&[&create[..], &[name]].concat()).await;
    for attempt in 0..16 {
        if created.is_ok() {
            break;
        }
        let number = RandomState::new().hash_one(attempt) % 512;
        let subnet = format!("198.{}.{}.0/24", 18 + number / 256, number % 256);
        created = docker(&[&create[..], &["--subnet", &subnet, name]].concat()).await;
    }
    created.map(drop)
}

/// Starts a host that does nothing by itself. `mounts` are folders of this machine, and where they are seen there, read-only.
pub(super) async fn run_host(
    image: &str,
    network: &str,
    name: &str,
    mounts: &[(&Path, &Path)],
) -> Result<String, String> {
    let label = format!("{LABEL}={}", *RUN);
    let long_name = format!("{name}.{}", super::cell::DOMAIN);
    let mounts: Vec<String> = mounts
        .iter()
        .map(|(here, there)| format!("{}:{}:ro", here.display(), there.display()))
        .collect();
    let mut arguments = vec![
        "run",
        "--detach",
        "--init",
        "--rm",
        "--label",
        &label,
        "--network",
        network,
    ];
    // Networks of Docker have no IPv6 unless told so, and then neither has the loopback.
    if std::path::Path::new("/proc/sys/net/ipv6").exists() {
        arguments.extend(["--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]);
        arguments.extend(["--sysctl", "net.ipv6.conf.lo.disable_ipv6=0"]);
    }
    arguments.extend([
        "--hostname",
        name,
        "--network-alias",
        name,
        "--network-alias",
        &long_name,
    ]);
    for mount in &mounts {
        arguments.extend(["--volume", mount]);
    }
    arguments.extend([image, "sleep", "infinity"]);
    docker(&arguments).await
}

/// Compiles the scripts of BEAM nodes into a folder, which will belong to whom this program belongs to.
pub(super) async fn compile(release: u32, tests: &Path, ebin: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", ebin.display());
    fs::create_dir_all(ebin).map_err(failed)?;
    let owner = fs::metadata(ebin).map_err(failed)?;
    docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--label",
        &format!("{LABEL}={}", *RUN),
        "--user",
        &format!("{}:{}", owner.uid(), owner.gid()),
        "--env",
        "HOME=/tmp",
        "--volume",
        &format!("{0}:{0}:ro", tests.display()),
        "--volume",
        &format!("{}:/ebin", ebin.display()),
        &image(release),
        "sh",
        "-c",
        &format!(
            "erlc -o /ebin {0}/bed/*.erl {0}/interop/scripts/*.erl",
            tests.display()
        ),
    ])
    .await
    .map(drop)
}

/// The host's address on the one network it is on.
pub(super) async fn address(container: &str) -> Result<String, String> {
    docker(&[
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        container,
    ])
    .await
}

/// Runs `iptables` in the network name space of a container, which needs no rights here and no programs there.
pub(super) async fn iptables(container: &str, rule: &[&str]) -> Result<(), String> {
    let network = format!("container:{container}");
    let image = image(29);
    let mut arguments = vec![
        "run",
        "--rm",
        "--network",
        &network,
        "--cap-add",
        "NET_ADMIN",
        &image,
    ];
    arguments.extend(["iptables", "--wait"]);
    arguments.extend(rule);
    docker(&arguments).await.map(drop)
}

/// Removes containers, then networks.
pub(super) async fn remove(containers: &[String], networks: &[String]) {
    for (command, things) in [
        (&["rm", "--force", "--volumes"][..], containers),
        (&["network", "rm"][..], networks),
    ] {
        if things.is_empty() {
            continue;
        }
        let mut arguments = command.to_vec();
        arguments.extend(things.iter().map(String::as_str));
        if let Err(error) = docker(&arguments).await {
            eprintln!("test bed: {error}");
        }
    }
}

/// Removes whatever this run made and still has.
pub(super) async fn remove_ours() {
    remove_where(|owner| owner == *RUN).await;
}

/// Removes what runs that are no more have left: those that were killed.
pub(super) async fn remove_stale() {
    remove_where(|owner| {
        let mut parts = owner.split('/');
        let (host, pid, started) = (parts.next(), parts.next(), parts.next());
        // Runs on another machine, or in another container with this engine's socket, are not ours to judge.
        let pid = pid.and_then(|pid| pid.parse().ok());
        host == Some(host_name().as_str()) && pid.and_then(start_time).as_deref() != started
    })
    .await;
}

async fn remove_where(condemned: impl Fn(&str) -> bool) {
    let filter = format!("label={LABEL}");
    let owner = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let condemned_of = async |what: &[&str]| {
        let mut arguments = what.to_vec();
        arguments.extend(["--filter", &filter, "--format", &owner]);
        let listed = docker(&arguments).await.unwrap_or_default();
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(_, owner)| condemned(owner))
            .map(|(id, _)| id.to_owned())
            .collect::<Vec<_>>()
    };
    let containers = condemned_of(&["ps", "--all"]).await;
    let networks = condemned_of(&["network", "ls"]).await;
    remove(&containers, &networks).await;
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// When a process started, in the kernel's clock ticks: field 22 of its `stat`.
pub(super) fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}
