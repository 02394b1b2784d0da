//! A cell: one release's hosts on a network of their own, where one case after another plays. With Docker a host is a
//! container that comes into being when it is first named; otherwise every host is this machine and only EPMD's port is
//! the cell's own.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    sync::{Mutex, OnceCell},
};

use super::{built, docker, engine::Engine};

/// The domain of the hosts' long names: `a` is also `a.bed.test`.
pub(super) const DOMAIN: &str = "bed.test";

/// The host of Rust nodes, where the inside half runs. Its system is the newest: what cargo built here must run there.
pub(super) const RUST_HOST: &str = "rust";

pub(super) struct Cell {
    pub(super) release: u32,
    pub(super) engine: Engine,
    /// Its network's name with Docker, its scratch folder without.
    name: String,
    hosts: Mutex<HashMap<String, Host>>,
    epmd: Option<LocalEpmd>,
    /// Whether the release's system has an Elixir, once a case has asked for one.
    elixir: OnceCell<bool>,
}

/// A host that is a container.
#[derive(Clone)]
struct Host {
    container: String,
    address: String,
    /// The processes that make the container live; everything else there was started by a case.
    own: Vec<String>,
    cut: bool,
    frozen: bool,
    /// Whether anything has been started there since the last case.
    used: bool,
}

/// The EPMD of a cell whose hosts are this machine, on a port of its own.
struct LocalEpmd {
    port: u16,
    _process: Child,
}

impl Cell {
    pub(super) async fn new(release: u32, engine: Engine) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("beamnode-bed-{}-{number}", std::process::id());
        let mut cell = Self {
            release,
            engine,
            name,
            hosts: Mutex::default(),
            epmd: None,
            elixir: OnceCell::new(),
        };
        if cell.engine.has_hosts() {
            docker::create_network(&cell.name).await?;
        } else {
            cell.prepare_this_machine().await?;
        }
        Ok(cell)
    }

    /// A command that runs on a host, with pipes for its standard streams. It is killed when dropped.
    pub(super) async fn command(
        &self,
        host: &str,
        environment: &[(String, String)],
        program: &[String],
    ) -> Result<Command, String> {
        let mut environment = environment.to_vec();
        let mut command = match &self.engine {
            Engine::Docker => {
                let host = self.host(host).await?;
                let mut command = Command::new("docker");
                command.args(["exec", "--interactive"]);
                for (key, value) in &environment {
                    command.arg("--env").arg(format!("{key}={value}"));
                }
                command.arg(host.container);
                command
            }
            // The inside half was built here and runs here.
            Engine::Chroot(root) if host != RUST_HOST => {
                environment.extend([("HOME".into(), "/root".into()), ("LANG".into(), "C.UTF-8".into())]);
                let mut command = Command::new("chroot");
                command.arg(root).arg("env");
                command
            }
            Engine::Chroot(_) | Engine::Path => Command::new("env"),
        };
        if !self.engine.has_hosts() {
            if let Some(epmd) = &self.epmd {
                environment.push(("ERL_EPMD_PORT".into(), epmd.port.to_string()));
            }
            command.args(environment.iter().map(|(key, value)| format!("{key}={value}")));
            command.process_group(0);
        }
        command.args(program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Whether Elixir can be had on a host: an official image has none, nor need a PATH.
    pub(super) async fn has_elixir(&self, host: &str) -> bool {
        let look = async || {
            let look = ["sh", "-c", "command -v elixir >/dev/null"].map(str::to_owned);
            let mut command = self.command(host, &[], &look).await.ok()?;
            command.stdin(Stdio::null()).status().await.ok()
        };
        *self
            .elixir
            .get_or_init(async || look().await.is_some_and(|status| status.success()))
            .await
    }

    /// What stands after the `@` of a node's name on a host.
    pub(super) fn host_part(&self, host: &str, long: bool) -> String {
        match (self.engine.has_hosts(), long) {
            (true, false) => host.to_owned(),
            (true, true) => format!("{host}.{DOMAIN}"),
            (false, false) => "localhost".to_owned(),
            (false, true) => "127.0.0.1".to_owned(),
        }
    }

    /// The folder of the compiled scripts, and that of the scripts, as a host sees them.
    pub(super) fn scripts(&self, host: &str) -> (String, String) {
        match self.engine {
            Engine::Docker => (
                path_text(&built::original().join(built::ebin(self.release_of(host)))),
                path_text(&tests().join("interop/scripts")),
            ),
            Engine::Chroot(_) | Engine::Path => {
                (format!("/tmp/{}/ebin", self.name), format!("/tmp/{}", self.name))
            }
        }
    }

    /// What a BEAM node needs on a host before it starts: the scripts compiled, by the compiler of the host's release, once for all.
    pub(super) async fn prepare_for_beam(&self, host: &str) -> Result<(), String> {
        static COMPILED: Mutex<BTreeMap<u32, Result<(), String>>> = Mutex::const_new(BTreeMap::new());
        if !self.engine.has_hosts() {
            return Ok(());
        }
        let release = self.release_of(host);
        let mut compiled = COMPILED.lock().await;
        match compiled.entry(release) {
            Entry::Occupied(done) => done.get().clone(),
            Entry::Vacant(entry) => {
                let ebin = built::copy()?.join(built::ebin(release));
                entry
                    .insert(docker::compile(release, &tests(), &ebin).await)
                    .clone()
            }
        }
    }

    /// Ends everything that cases started, and lets all packets through: the next case finds the cell as new.
    pub(super) async fn reset(&self) -> Result<(), String> {
        if let Some(epmd) = &self.epmd {
            return epmd.await_nobody().await;
        }
        self.heal().await?;
        for host in self.hosts.lock().await.values_mut().filter(|host| host.used) {
            if host.frozen {
                docker::docker(&["unpause", &host.container]).await?;
                host.frozen = false;
            }
            let spared = host.own.join("|");
            let script = format!(
                "cd /proc; for p in [0-9]*; do case $p in {spared}|$$) ;; *) kill -KILL $p 2>/dev/null ;; esac; done; \
                 rm -f /root/.erlang.cookie"
            );
            docker::docker(&["exec", &host.container, "sh", "-c", &script]).await?;
            host.used = false;
        }
        Ok(())
    }

    pub(super) async fn remove(self) {
        if self.engine.has_hosts() {
            let hosts = self.hosts.into_inner();
            let containers: Vec<String> = hosts.into_values().map(|host| host.container).collect();
            docker::remove(&containers, &[self.name]).await;
        } else {
            // What is left of it is a scratch folder; EPMD ends with its handle.
            fs::remove_dir_all(self.scratch()).ok();
        }
    }

    /// Drops every packet from one host to another. Neither end is told.
    pub(super) async fn cut(&self, from: &str, to: &str) -> Result<(), String> {
        self.require_hosts("cutting a network")?;
        let (from, at) = (self.host(from).await?, self.host(to).await?);
        if let Some(host) = self.hosts.lock().await.get_mut(to) {
            host.cut = true;
        }
        docker::iptables(&at.container, &["-A", "INPUT", "-s", &from.address, "-j", "DROP"]).await
    }

    pub(super) async fn heal(&self) -> Result<(), String> {
        for host in self.hosts.lock().await.values_mut().filter(|host| host.cut) {
            docker::iptables(&host.container, &["-F", "INPUT"]).await?;
            host.cut = false;
        }
        Ok(())
    }

    pub(super) async fn freeze(&self, host: &str, frozen: bool) -> Result<(), String> {
        self.require_hosts("freezing a host")?;
        let container = self.host(host).await?.container;
        docker::docker(&[if frozen { "pause" } else { "unpause" }, &container]).await?;
        if let Some(host) = self.hosts.lock().await.get_mut(host) {
            host.frozen = frozen;
        }
        Ok(())
    }

    fn require_hosts(&self, what: &str) -> Result<(), String> {
        if self.engine.has_hosts() {
            Ok(())
        } else {
            Err(format!(
                "{what} needs hosts of their own, and every host is this machine; mark the case `needs_hosts`"
            ))
        }
    }

    /// The release on a host: the cell's, unless the name ends with another, `-otpNN`.
    fn release_of(&self, name: &str) -> u32 {
        let own = name
            .rsplit_once("-otp")
            .and_then(|(_, release)| release.parse().ok());
        if name == RUST_HOST {
            29
        } else {
            own.unwrap_or(self.release)
        }
    }

    /// The container of this name, started and prepared when it is not there yet.
    async fn host(&self, name: &str) -> Result<Host, String> {
        let mut hosts = self.hosts.lock().await;
        if let Some(host) = hosts.get_mut(name) {
            host.used = true;
            return Ok(host.clone());
        }
        let (tests, built, original) = (tests(), built::copy()?, built::original());
        let mounts = [(&*tests, &*tests), (&*built, &*original)];
        let image = docker::image(self.release_of(name));
        let container = docker::run_host(&image, &self.name, name, &mounts).await?;
        let host = known(container).await?;
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }

    /// Without containers: the scripts compiled, and an EPMD on a port that nobody else uses.
    async fn prepare_this_machine(&mut self) -> Result<(), String> {
        let scratch = self.scratch();
        let ebin = scratch.join("ebin");
        fs::create_dir_all(&ebin).map_err(|error| format!("{}: {error}", ebin.display()))?;
        let sources = [tests().join("bed"), tests().join("interop/scripts")];
        let files = sources
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten();
        for file in files.filter(|file| {
            file.path()
                .extension()
                .is_some_and(|end| end == "erl" || end == "exs")
        }) {
            fs::copy(file.path(), scratch.join(file.file_name())).map_err(|error| error.to_string())?;
        }
        let (ebin, scripts) = self.scripts("here");
        let compile = [
            "sh".to_owned(),
            "-c".to_owned(),
            format!("erlc -o {ebin} {scripts}/*.erl"),
        ];
        let output = self.command("here", &[], &compile).await?.output().await;
        let output = output.map_err(|error| format!("erlc cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(format!("erlc: {}", String::from_utf8_lossy(&output.stdout)));
        }

        let port = free_port()?;
        let epmd = ["epmd".to_owned(), "-port".to_owned(), port.to_string()];
        let process = self
            .command("here", &[], &epmd)
            .await?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.map_err(|error| format!("epmd cannot be run: {error}"))?;
        self.epmd = Some(LocalEpmd {
            port,
            _process: process,
        });
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("epmd does not answer on port {port}"))
    }

    /// The cell's own folder as this machine sees it; a node sees it as `/tmp/NAME`.
    fn scratch(&self) -> PathBuf {
        match &self.engine {
            Engine::Chroot(root) => root.join("tmp").join(&self.name),
            Engine::Docker | Engine::Path => Path::new("/tmp").join(&self.name),
        }
    }
}

/// A fresh container: where it is, and which processes it lives by.
async fn known(container: String) -> Result<Host, String> {
    let address = docker::address(&container).await?;
    let list = "cd /proc; for p in [0-9]*; do [ $p = $$ ] || echo $p; done";
    let listed = docker::docker(&["exec", &container, "sh", "-c", list]).await?;
    let own = listed.split_whitespace().map(str::to_owned).collect();
    Ok(Host {
        container,
        address,
        own,
        cut: false,
        frozen: false,
        used: true,
    })
}

impl LocalEpmd {
    /// The nodes of the last case have been killed: waits until EPMD has noticed.
    async fn await_nobody(&self) -> Result<(), String> {
        for _ in 0..3000 {
            if self
                .names()
                .await
                .map_err(|error| format!("EPMD: {error}"))?
                .is_empty()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("nodes of the last case are still registered".to_owned())
    }

    /// What NAMES_REQ gives, without the port at its beginning.
    async fn names(&self) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"\0\x01n").await?;
        let mut names = Vec::new();
        stream.read_to_end(&mut names).await?;
        Ok(names.split_off(names.len().min(4)))
    }
}

/// A port that nobody listens on, below those that the kernel gives to sockets that ask for any: else a node of another
/// cell may be given it before its EPMD comes.
fn free_port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16 % 64 * 128;
    for _ in 0..8192 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 8192;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free between 20000 and 28192".to_owned())
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
