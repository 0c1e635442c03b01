use std::future::Future;

/// Runs `main` to its end on an async runtime with a thread for each core that this process may use.
///
/// The number of threads follows the cgroup's quota, so that a pod with two cores on a large node does not start sixty
/// threads that are then throttled. It also makes aws-lc the one cryptography of TLS in this process.
///
/// # Errors
/// Fails when the threads cannot be started, or as `main` does.
pub fn run<F, T>(main: F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    install_cryptography();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?.block_on(main)
}

/// A second call finds the first one's provider in place, which is the same one.
fn install_cryptography() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
