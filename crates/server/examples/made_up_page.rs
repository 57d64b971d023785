//! The status page of a service that is not there, for work on the page:
//!
//! ```sh
//! cargo run -p tabletopic-server --example made_up_page -- halted 200
//! ```
//!
//! The scene is `starting`, `healthy`, `behind` or `halted`; the number is that of the first topic's partitions, and 1
//! leaves the other topics out. An hour has passed when it starts, and each look at it is ten seconds later.

#[path = "../tests/http/made_up.rs"]
mod made_up;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tabletopic_server::{Listen, Server, bind};

use made_up::{MadeUp, Scene};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let scene = arguments
        .next()
        .and_then(|name| Scene::named(&name))
        .unwrap_or(Scene::Healthy);
    let partitions = arguments
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(4);
    let service = Arc::new(MadeUp::new(scene, partitions));
    let listener = bind(Listen::Preferred).await?;

    tokio::time::pause();
    let server = Server::start(listener, None, Registry::new(), service)?;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    tokio::time::resume();

    println!("http://{}/", server.address());
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
