//! What is looked at again and again: memory, descriptors, threads, tasks, and what the process says of itself.

use crate::process::Outrigger;
use std::time::Duration;
use tokio::time::sleep;

/// The numbers of one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    pub rss_kib: u64,
    pub files: u64,
    pub threads: u64,
    pub worker_tasks: u64,
    pub control_tasks: u64,
    pub connections: u64,
    pub in_flight: u64,
    pub generation: u64,
    pub snapshots: u64,
    pub workers: u64,
}

impl Gauges {
    /// The numbers of now.
    pub async fn take(outrigger: &Outrigger) -> Self {
        let text = outrigger.ask("/metrics").await.expect("/metrics answers").text();
        let sum = |name: &str| -> u64 {
            let values = text.lines().filter_map(|line| line.strip_prefix(name));
            // Other metrics begin like this, too.
            let values = values.filter(|rest| rest.starts_with([' ', '{']));
            values.map(|rest| rest.rsplit(' ').next().unwrap_or("").parse().unwrap_or(0)).sum()
        };
        Self {
            rss_kib: outrigger.resident_kib(),
            files: outrigger.open_files() as u64,
            threads: outrigger.threads(),
            worker_tasks: sum("outrigger_tasks{runtime=\"workers\"}"),
            control_tasks: sum("outrigger_tasks{runtime=\"control\"}"),
            connections: sum("outrigger_client_connections"),
            in_flight: sum("outrigger_endpoint_in_flight_requests"),
            generation: sum("outrigger_config_generation"),
            snapshots: sum("outrigger_live_snapshots"),
            workers: sum("outrigger_workers"),
        }
    }

    /// The numbers of the idle process, without a probe that happens to be under way.
    pub async fn least(outrigger: &Outrigger) -> Self {
        let mut least = Self::take(outrigger).await;
        for _ in 0..20 {
            sleep(Duration::from_millis(20)).await;
            let now = Self::take(outrigger).await;
            least.files = least.files.min(now.files);
            least.control_tasks = least.control_tasks.min(now.control_tasks);
        }
        least
    }

    /// What is more than in the idle process, in words.
    pub fn left_over(&self, idle: &Self) -> Vec<String> {
        let pairs = [
            ("open files", self.files, idle.files),
            ("tasks of workers", self.worker_tasks, idle.worker_tasks),
            ("tasks of the control runtime", self.control_tasks, idle.control_tasks),
            ("client connections", self.connections, 0),
            ("requests in flight", self.in_flight, 0),
            ("live snapshots", self.snapshots, 1),
        ];
        let more = pairs.into_iter().filter(|(_, now, before)| now > before);
        more.map(|(what, now, before)| format!("{now} {what} after the load, {before} before it"))
            .collect()
    }
}

/// The linear trend of `values` (of time and value) by least squares: where the line begins, and where it ends.
pub fn trend(values: &[(f64, f64)]) -> (f64, f64) {
    let count = values.len() as f64;
    let (mean_x, mean_y) = (
        values.iter().map(|(x, _)| x).sum::<f64>() / count,
        values.iter().map(|(_, y)| y).sum::<f64>() / count,
    );
    let over: f64 = values.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = values.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let slope = if under > 0.0 { over / under } else { 0.0 };
    let at = |x: f64| mean_y + slope * (x - mean_x);
    match (values.first(), values.last()) {
        (Some(first), Some(last)) => (at(first.0), at(last.0)),
        _ => (0.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_seen_through_noise_that_has_none() {
        let values: Vec<_> = (0..100)
            .map(|x| (f64::from(x), 50.0 + f64::from(x) * 2.0 + f64::from(x % 2)))
            .collect();
        let (first, last) = trend(&values);
        assert!((first - 50.5).abs() < 0.1 && (last - 248.5).abs() < 0.1, "{first} {last}");
    }

    #[test]
    fn what_is_more_than_before_is_told() {
        let idle = Gauges { files: 20, worker_tasks: 6, snapshots: 1, ..Gauges::default() };
        assert!(idle.left_over(&idle).is_empty());
        let after = Gauges { files: 21, in_flight: 1, ..idle };
        assert_eq!(after.left_over(&idle).len(), 2);
    }
}
