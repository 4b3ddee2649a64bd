//! The images that the tests run.

use std::sync::LazyLock;

/// Names of images, with their tags, that the nodes of the cluster have.
#[derive(Clone, Debug)]
pub struct Images {
    /// Outrigger's own.
    pub outrigger: String,
    /// Test servers and load.
    pub testserver: String,
    /// A shell and wget.
    pub busybox: String,
}

/// Those that the environment names.
pub fn images() -> &'static Images {
    static IMAGES: LazyLock<Images> = LazyLock::new(|| {
        let named = |variable: &str, default: &str| {
            std::env::var(variable).unwrap_or_else(|_| default.to_owned())
        };
        Images {
            outrigger: named("IMAGE_OUTRIGGER", "localhost/outrigger:test"),
            testserver: named("IMAGE_TESTSERVER", "localhost/testserver:test"),
            busybox: named("IMAGE_BUSYBOX", "localhost/busybox:test"),
        }
    });
    &IMAGES
}
