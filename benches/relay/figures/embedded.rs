//! What the embedded store takes in durably.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::Bench;
use crate::failure::{Outcome, fail};
use crate::load::{CONNECTIONS, closed_loop};
use crate::process::Keeps;
use crate::report::{Row, Target};
use crate::sessions::{self, User};

/// Bytes of one write of the floor: a page.
const PAGE: usize = 4096;
/// Pages that the floor's file has. It is written over and over, since a file that grows costs more.
const PAGES: usize = 1024;

/// Measures it with one caller and with many, beside one sync of one page for each message, on the same file system.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    is_on_disk(dir.path())?;
    let mut one = Row::new("embedded: durable webhooks a second, 1 caller", "/s").beside("one fdatasync each");
    let mut many = Row::new(format!("embedded: durable webhooks a second, {CONNECTIONS} callers"), "/s")
        .beside("one fdatasync each")
        .aims_at(Target::RatioAtLeast(20.0));
    let floor = Floor::create(dir.path())?;
    let replica = bench.relay.start(&Keeps::Embedded(dir.path()))?;
    bench.runtime.block_on(async {
        let users = sessions::register(replica.port, CONNECTIONS).await?;
        for _ in bench.runs("embedded") {
            for (row, callers) in [(&mut one, 1), (&mut many, CONNECTIONS)] {
                let webhooks = users.iter().take(callers).map(User::webhook);
                let rate = closed_loop(replica.port, webhooks, bench.stretch(), || Ok(Vec::new())).await?.rate;
                row.add_beside(rate, floor.rate(bench.stretch() / 2)?);
            }
        }
        Outcome::Ok(())
    })?;
    Ok(vec![one, many])
}

/// A file in memory would sync for nothing.
fn is_on_disk(dir: &Path) -> Outcome<()> {
    let mounts = Process::myself()?.mountinfo()?;
    let under = mounts.into_iter().filter(|mount| dir.starts_with(&mount.mount_point));
    let kind = under.max_by_key(|mount| mount.mount_point.as_os_str().len()).map(|mount| mount.fs_type);
    match kind.as_deref() {
        Some("tmpfs" | "ramfs") => fail("target/tmp lies in memory; let CARGO_TARGET_DIR name a directory on a disk"),
        _ => Ok(()),
    }
}

/// A file that is written and synced a page at a time.
struct Floor(File);

impl Floor {
    fn create(dir: &Path) -> Outcome<Self> {
        let file = File::create(dir.join("floor"))?;
        file.write_all_at(&vec![1; PAGES * PAGE], 0)?;
        file.sync_all()?;
        Ok(Self(file))
    }

    /// Pages that are safe in a second.
    fn rate(&self, time: Duration) -> Outcome<f64> {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < time {
            self.0.write_all_at(&[count as u8; PAGE], (count % PAGES * PAGE) as u64)?;
            self.0.sync_data()?;
            count += 1;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }
}
