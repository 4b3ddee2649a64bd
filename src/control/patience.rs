//! Files are renewed one after the other: who looks in between sees a key beside another certificate, or half a file.

use crate::config::{Loaded, Problems};
use std::time::Duration;

/// How often a configuration is looked at before what is wrong with its files is believed: for a second.
const LOOKS: u32 = 11;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Loads a configuration, again and again for a second if nothing is wrong with it but what is in the files that it names.
///
/// # Errors
/// What is still wrong then, or could not be made right by waiting.
pub async fn patiently(load: impl Fn() -> Result<Loaded, Problems>) -> Result<Loaded, Problems> {
    for _ in 1..LOOKS {
        match load() {
            Err(problems) if problems.only_in_files() => tokio::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};
    use std::cell::Cell;
    use tokio::time::Instant;

    const CONFIG: &str = "
listeners:
  - { name: https, address: '127.0.0.1:1', tls: { certificates: [{ certFile: a.crt, keyFile: a.key }] } }
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";

    /// A configuration whose files are there from the look of that number on.
    async fn after(looks: u32) -> (bool, u32) {
        let issued = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
        let key = issued.signing_key.serialize_pem();
        let looked = Cell::new(0);
        let loaded = patiently(|| {
            looked.set(looked.get() + 1);
            let files = |path: &std::path::Path| match path.extension().unwrap().to_str() {
                _ if looked.get() < looks => Ok(b"-----BEGIN ".to_vec()),
                Some("key") => Ok(key.clone().into_bytes()),
                _ => Ok(issued.cert.pem().into_bytes()),
            };
            let surroundings = Surroundings { files: &files, ..Surroundings::none() };
            config::load(CONFIG.as_bytes(), "config.yaml", &surroundings)
        });
        (loaded.await.is_ok(), looked.get())
    }

    /// T2
    #[tokio::test(start_paused = true)]
    async fn files_in_the_middle_of_their_renewal_are_looked_at_for_a_second() {
        let start = Instant::now();
        assert_eq!(after(1).await, (true, 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(after(4).await, (true, 4));
        assert_eq!(start.elapsed(), PAUSE * 3);
        let start = Instant::now();
        assert_eq!(after(100).await, (false, LOOKS));
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_mend_is_not_waited_for() {
        let start = Instant::now();
        let load = || config::load(b"listener: []", "config.yaml", &Surroundings::none());
        assert!(patiently(load).await.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
