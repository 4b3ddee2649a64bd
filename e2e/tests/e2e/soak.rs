//! A short soak, so that the long one (`make soak`) cannot rot.

use e2e::alone;
use e2e::soak::{Plan, run};
use std::time::Duration;

/// Eight seconds say nothing of memory that grows slowly; all else is judged as in half an hour.
#[tokio::test]
async fn a_short_soak_fails_no_request_and_leaves_nothing_behind() {
    let _alone = alone().await;
    let plan =
        Plan { growth: 0.5, growth_kib: 16.0 * 1024.0, ..Plan::new(Duration::from_secs(8), 1) };
    let report = run(plan, |line| println!("{line}")).await;
    println!("{report}");
    assert!(report.faults().is_empty(), "{:#?}", report.faults());
}
