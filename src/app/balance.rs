//! Looks regularly at how evenly endpoints are picked.

use crate::backend::imbalance::WINDOW;
use crate::snapshot::Store;
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval};

/// Ends a window of each backend's imbalance every [`WINDOW`], for ever.
pub(super) async fn watch(store: Arc<Store>) {
    let mut windows = interval(WINDOW);
    // A window that is shorter would say less.
    windows.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        windows.tick().await;
        for backend in &store.load().backends {
            backend.look_at_balance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::snapshot::Snapshot;
    use std::time::Duration;

    const CONFIG: &str = "
listeners: [{ name: http, address: '127.0.0.1:0' }]
backends:
  - name: shop
    endpoints: ['http://127.0.0.1:1', { url: 'http://127.0.0.1:2', weight: 3 }]
";

    fn compile(text: &str, previous: Option<&Snapshot>) -> Snapshot {
        let surroundings = config::Surroundings::none();
        let model = config::load(text.as_bytes(), "config.yaml", &surroundings).unwrap().model;
        Snapshot::compile(Arc::new(model), String::new(), previous, 1).unwrap()
    }

    fn pick(store: &Store, picks: [usize; 2]) {
        let backend = Arc::clone(store.load().backend("shop").unwrap());
        for (member, picks) in backend.members().iter().zip(picks) {
            for _ in 0..picks {
                drop(member.endpoint.begin());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_imbalance_is_that_of_the_last_window_by_weight_and_survives_a_reload() {
        let store = Arc::new(Store::new(compile(CONFIG, None)));
        pick(&store, [1_000, 0]);
        let watching = tokio::spawn(watch(Arc::clone(&store)));
        let imbalance = || store.load().backend("shop").unwrap().imbalance();
        let next = || tokio::time::sleep(WINDOW);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(imbalance(), None, "what came before is of no window");
        pick(&store, [100, 300]);
        next().await;
        assert_eq!(imbalance(), Some(0.0));
        pick(&store, [100, 0]);
        store.swap(compile(
            &CONFIG.replace("shop", "shop\n    algorithm: Random"),
            Some(&store.load()),
        ));
        next().await;
        assert_eq!(imbalance(), Some(1.0));
        next().await;
        assert_eq!(imbalance(), None, "nobody asked");
        watching.abort();
    }
}
