//! A way to a PostgreSQL server on which commits get lost, in the one direction or the other.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::Lost;

/// See the module. It understands as much of the protocol, in plain text, as it takes to see a `COMMIT` go by. Its threads
/// end with their connections and with the test.
#[derive(Debug)]
pub struct PostgresWay {
    /// At 127.0.0.1.
    pub port: u16,
    losses: Arc<Losses>,
}

#[derive(Debug, Default)]
struct Losses {
    script: Mutex<VecDeque<Lost>>,
    /// A `COMMIT` whose sender believes it lost, and the server that has not seen it yet.
    on_its_way: Mutex<Option<(TcpStream, Vec<u8>)>>,
}

impl PostgresWay {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let losses = Arc::new(Losses::default());
        let of_way = losses.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let losses = of_way.clone();
                thread::spawn(move || {
                    // The server may be away: whoever connects sees that the connection ends.
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                        let _ = carry(client, server, &losses);
                    }
                });
            }
        });
        Self { port, losses }
    }

    /// What becomes of the next commits; what an earlier script still holds is forgotten.
    pub fn lose(&self, script: &[Lost]) {
        *self.losses.script.lock().expect("nobody has panicked") = script.iter().copied().collect();
    }

    /// What the script still holds: a test that counts on a loss sees whether it happened.
    pub fn still_to_lose(&self) -> usize {
        self.losses.script.lock().expect("nobody has panicked").len()
    }
}

/// Carries what both say until one of them ends, or a commit is lost.
fn carry(mut client: TcpStream, mut server: TcpStream, losses: &Losses) -> io::Result<()> {
    let swallow = Arc::new(AtomicBool::new(false));
    let (mut answers, mut asker, swallowing) = (server.try_clone()?, client.try_clone()?, swallow.clone());
    thread::spawn(move || {
        let mut some = [0; 8192];
        while let Ok(length @ 1..) = answers.read(&mut some) {
            if swallowing.load(Ordering::SeqCst) || asker.write_all(&some[..length]).is_err() {
                break;
            }
        }
        // The first word of the answer to a swallowed commit says that it was carried out.
        for end in [&answers, &asker] {
            let _ = end.shutdown(Shutdown::Both);
        }
    });
    // The first message has no type: length, version, parameters.
    let start = message(&mut client, false)?;
    server.write_all(&start)?;
    loop {
        let message = message(&mut client, true)?;
        let lost = match message.starts_with(b"Q") && message[5..].starts_with(b"COMMIT") {
            true => losses.script.lock().expect("nobody has panicked").pop_front(),
            false => None,
        };
        match lost {
            None => server.write_all(&message)?,
            Some(Lost::Request) => {
                server.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Lost::Answer) => {
                swallow.store(true, Ordering::SeqCst);
                server.write_all(&message)?;
            }
            Some(Lost::Late) => {
                swallow.store(true, Ordering::SeqCst);
                *losses.on_its_way.lock().expect("nobody has panicked") = Some((server, message));
                return client.shutdown(Shutdown::Both);
            }
        }
        if message.starts_with(b"Q") && message[5..].starts_with(b"ROLLBACK") {
            // A look at the table is over.
            let late = losses.on_its_way.lock().expect("nobody has panicked").take();
            if let Some((mut server, commit)) = late {
                server.write_all(&commit)?;
            }
        }
    }
}

/// One message of the frontend: its type, if it has one, its length (of itself and what follows) and the rest.
fn message(from: &mut TcpStream, typed: bool) -> io::Result<Vec<u8>> {
    let header = if typed { 5 } else { 4 };
    let mut message = vec![0; header];
    from.read_exact(&mut message)?;
    let length: [u8; 4] = message[header - 4..].try_into().expect("four bytes");
    let length = u32::from_be_bytes(length) as usize;
    message.resize(header - 4 + length, 0);
    from.read_exact(&mut message[header..])?;
    Ok(message)
}
