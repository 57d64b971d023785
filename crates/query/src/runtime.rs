//! Where queries run.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// The stack that a thread needs which plans or runs a statement. What is chained by operators becomes a tree as deep
/// as the chain is long, and the engine walks it by recursion; tests chain as many operators as a statement may have on
/// a stack of this size. Only what is used of it costs memory.
pub const STACK: usize = 512 << 20;

/// Threads with such stacks.
///
/// # Errors
/// Those of the system.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
}
