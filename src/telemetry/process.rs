//! What the system knows of this process, under the names that Prometheus' own libraries use.

use procfs::process::Process;
use procfs::{WithCurrentSystemInfo as _, boot_time_secs, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads the figures when they are asked for.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// The figures of a moment.
struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_fds: u64,
    start_seconds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "times in ticks are far below 2^53")]
fn figures() -> Option<Figures> {
    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
    Some(Figures {
        cpu_seconds: seconds(stat.utime + stat.stime),
        resident_bytes: stat.rss_bytes().get(),
        open_fds: process.fd_count().ok()? as u64,
        start_seconds: boot_time_secs().ok()? as f64 + seconds(stat.starttime),
    })
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(figures) = figures() else { return Ok(()) };
        let cpu = ConstCounter::new(figures.cpu_seconds);
        let kind = cpu.metric_type();
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", "CPU time of the process", None, kind)?)?;
        let resident = ConstGauge::new(i64::try_from(figures.resident_bytes).unwrap_or(i64::MAX));
        let kind = resident.metric_type();
        let name = "process_resident_memory_bytes";
        resident.encode(encoder.encode_descriptor(name, "Resident memory of the process", None, kind)?)?;
        let fds = ConstGauge::new(i64::try_from(figures.open_fds).unwrap_or(i64::MAX));
        fds.encode(encoder.encode_descriptor("process_open_fds", "Open files and sockets", None, kind)?)?;
        let start = ConstGauge::new(figures.start_seconds);
        let name = "process_start_time_seconds";
        start.encode(encoder.encode_descriptor(name, "Start of the process since the epoch", None, kind)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let figures = figures().unwrap();
        assert!(figures.resident_bytes > 1024 * 1024 && figures.open_fds > 2);
        assert!(figures.start_seconds > 1.7e9 && figures.cpu_seconds < 1e6);
    }
}
