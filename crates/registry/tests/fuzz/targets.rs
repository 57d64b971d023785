//! What is tried with answers from anywhere: a client asks a socket, which answers one piece of the bytes after the other.
//! The short run beside this file calls it, and so does the target of `cargo fuzz` in `fuzz/`.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tabletopic_records::SchemaId;
use tabletopic_registry::{Answer, Api, Outage, Registry, RegistrySettings, Tls, Versioned, client};
use tokio::runtime::{Builder, Runtime};

/// What the client made of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With so many that it refers to.
    Schema(usize),
    Version(usize),
    NoSuchId,
    NoSuchVersion,
    Unusable,
    Outage,
}

/// The first byte chooses the API and the question. The rest are answers with zeros between them, the last of which is
/// given again and again; the first byte of each says its status: `2` is found, `4` not, `5` an error.
pub fn answers(data: &[u8]) -> Outcome {
    thread_local!(static ASKING: RefCell<Asking> = RefCell::new(Asking::begin()));
    let (question, rest) = data
        .split_first()
        .map_or((0, data), |(first, rest)| (*first, rest));
    ASKING.with_borrow_mut(|asking| asking.ask(usize::from(question), rest))
}

struct Asking {
    runtime: Runtime,
    /// Of Confluent's API, and of both versions of Apicurio's.
    clients: [Box<dyn Registry>; 3],
    answering: Arc<Answering>,
}

#[derive(Default)]
struct Answering {
    answers: Mutex<Vec<Vec<u8>>>,
    /// How many were given.
    given: AtomicUsize,
}

impl Asking {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering = Arc::new(Answering::default());
        let serving = answering.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(socket.unwrap()));
            }
        });
        let clients = [
            (Api::Confluent, ""),
            (Api::Apicurio, "/apis/registry/v2"),
            (Api::Apicurio, "/apis/registry/v3"),
        ];
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            clients: clients.map(|(api, path)| {
                let settings = RegistrySettings {
                    api,
                    urls: vec![format!("http://{address}{path}")],
                    credentials: None,
                    tls: Tls::default(),
                    timeout: Duration::from_secs(60),
                };
                client(&settings).unwrap()
            }),
            answering,
        }
    }

    fn ask(&mut self, question: usize, data: &[u8]) -> Outcome {
        let answers = data.split(|byte| *byte == 0).map(<[u8]>::to_vec);
        *self.answering.answers.lock().unwrap() = answers.collect();
        self.answering.given.store(0, Ordering::Relaxed);
        let client = &self.clients[question % 3];
        let outcome = self.runtime.block_on(async {
            match question / 3 % 4 {
                0 => of_id(client.schema(SchemaId::Number(1)).await),
                1 => of_id(client.schema(SchemaId::Global(1)).await),
                2 => of_version(client.version("orders-value", None).await),
                _ => of_version(client.version("orders-value", Some(3)).await),
            }
        });
        let asked = self.answering.given.load(Ordering::Relaxed);
        assert!(asked <= 2 * 201 + 1, "{asked} questions");
        outcome
    }
}

fn of_id(answer: Result<Answer, Outage>) -> Outcome {
    match answer {
        Ok(Answer::Schema(schema)) => {
            assert!(schema.references.len() <= 200);
            Outcome::Schema(schema.references.len())
        }
        Ok(Answer::NoSuchId) => Outcome::NoSuchId,
        Ok(Answer::Unusable(_)) => Outcome::Unusable,
        Err(Outage(_)) => Outcome::Outage,
    }
}

fn of_version(answer: Result<Versioned, Outage>) -> Outcome {
    match answer {
        Ok(Versioned::Version(_, answer)) => match of_id(Ok(answer)) {
            Outcome::Schema(references) => Outcome::Version(references),
            other => other,
        },
        Ok(Versioned::NoSuchVersion) => Outcome::NoSuchVersion,
        Err(Outage(_)) => Outcome::Outage,
    }
}

impl Answering {
    fn serve(&self, socket: TcpStream) {
        let mut reading = BufReader::new(socket.try_clone().unwrap());
        let mut writing = socket;
        let mut line = String::new();
        // A client that has had enough closes its end.
        while reading.read_line(&mut line).is_ok_and(|length| length > 0) {
            let ends = line == "\r\n";
            line.clear();
            if ends && writing.write_all(&self.next()).is_err() {
                return;
            }
        }
    }

    /// Status, length and body.
    fn next(&self) -> Vec<u8> {
        let answers = self.answers.lock().unwrap();
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let answer = answers
            .get(number)
            .or(answers.last())
            .map_or(&[][..], Vec::as_slice);
        let (status, body) = match answer.split_first() {
            Some((b'4', body)) => ("404 Not Found", body),
            Some((b'5', body)) => ("500 Internal Server Error", body),
            Some((_, body)) => ("200 OK", body),
            None => ("200 OK", answer),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }
}
