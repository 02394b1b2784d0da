//! Which OTP releases this machine can cover, and with what: Docker images, root file systems for `chroot`, or the `erl`
//! on the PATH. What is not covered says why and how to mend it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::docker;

/// The releases that a full run covers.
pub(super) const RELEASES: [u32; 4] = [23, 25, 27, 29];

/// What runs the BEAM nodes of one release.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// Hosts are containers.
    Docker,
    /// Every host is this machine; programs of the release come from this root file system.
    Chroot(PathBuf),
    /// Every host is this machine; programs of the release are on the PATH.
    Path,
}

impl Engine {
    pub(super) fn has_hosts(&self) -> bool {
        matches!(self, Self::Docker)
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Chroot(_) => "chroot, one host",
            Self::Path => "erl on the PATH, one host",
        })
    }
}

#[derive(Debug)]
pub(super) struct Coverage {
    pub(super) release: u32,
    pub(super) engine: Result<Engine, String>,
}

/// Looks what there is. `BED_ENGINE` (`docker`, `chroot` or `path`) narrows the search to one kind.
pub(super) async fn coverage() -> Vec<Coverage> {
    let wanted = std::env::var("BED_ENGINE").ok();
    let may = |kind: &str| wanted.as_deref().is_none_or(|wanted| wanted == kind);
    let with_docker = may("docker") && docker::answers().await;
    let on_path = if !with_docker && may("path") {
        release_on_path()
    } else {
        None
    };

    let mut all = Vec::new();
    for release in RELEASES {
        let root = roots().join(release.to_string());
        let engine = if with_docker {
            if docker::has_image(release).await {
                Ok(Engine::Docker)
            } else {
                let image = docker::image(release);
                Err(format!(
                    "there is no image {image}; `tests/bed/images {release}` makes it"
                ))
            }
        } else if may("chroot") && root.join("usr/bin/erl").exists() && is_root() {
            Ok(Engine::Chroot(root))
        } else if on_path == Some(release) {
            Ok(Engine::Path)
        } else {
            Err(format!(
                "no Docker engine answers; start one, or as root `tests/bed/images {release}` makes a system to chroot to"
            ))
        };
        all.push(Coverage { release, engine });
    }
    // Another release than the four is better than none.
    if let Some(release) = on_path.filter(|release| !RELEASES.contains(release)) {
        all.push(Coverage {
            release,
            engine: Ok(Engine::Path),
        });
    }
    all
}

/// Where `tests/bed/images` puts root file systems.
fn roots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/.roots")
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn release_on_path() -> Option<u32> {
    let ask = "io:format(\"~s\", [erlang:system_info(otp_release)]), halt().";
    let output = Command::new("erl")
        .args(["-noinput", "-eval", ask])
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
