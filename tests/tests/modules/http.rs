//! `import.http`.

use std::sync::{Arc, Mutex};

use flamegate_tests::flamegate::Flamegate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Marking, marking};

/// A server that answers what it is told to, and keeps what it was asked.
struct Server {
    url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
enum Answer {
    Reply(u16, String),
    Silence,
}

impl Server {
    async fn start(text: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/modules/lib.alloy", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Answer::Reply(200, text)));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut serving = JoinSet::new();
        let (told, kept) = (answer.clone(), asked.clone());
        serving.spawn(async move {
            // Those that are answered nothing stay open.
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                kept.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into_owned());
                let answer = told.lock().unwrap().clone();
                match answer {
                    Answer::Silence => silent.push(stream),
                    Answer::Reply(status, text) => {
                        let length = text.len();
                        let head =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                        stream.write_all(format!("{head}{text}").as_bytes()).await.unwrap();
                    }
                }
            }
        });
        Self { url, answer, asked, _serving: serving }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn brings(&self, text: String) {
        self.answers(Answer::Reply(200, text));
    }

    /// Asks often, and gives up at once.
    fn import(&self, more: &str) -> String {
        let url = &self.url;
        format!(
            "import.http \"lib\" {{\nurl = \"{url}\"\npoll_frequency = \"1s\"\npoll_timeout = \"900ms\"\n{more}\n}}"
        )
    }
}

#[tokio::test]
async fn a_server_that_changes_its_answer_changes_what_runs() {
    let server = Server::start(marking("one")).await;
    let client = "method = \"POST\"\nbody = \"question\"\nheaders = { \"X-A\" = \"b\" }\n\
                  client {\nbasic_auth {\nusername = \"u\"\npassword = \"p\"\n}\n}";
    let run = Marking::start(&server.import(client)).await;
    assert_eq!(run.edge().await, "one");
    let asked = server.asked.lock().unwrap()[0].clone();
    for part in ["POST /modules/lib.alloy HTTP/1.1\r\n", "x-a: b\r\n", "authorization: Basic dTpw\r\n", "question"] {
        assert!(asked.contains(part), "{part:?} is missing in {asked}");
    }
    server.brings(marking("two"));
    run.becomes("two").await;
    for wrong in [Answer::Reply(500, marking("wrong")), Answer::Silence, Answer::Reply(200, "declare {".to_owned())] {
        server.answers(wrong);
        run.becomes_unhealthy("import.http.lib").await;
        assert_eq!(run.edge().await, "two");
        server.brings(marking("two"));
        run.becomes_healthy().await;
    }
    server.brings(marking("three"));
    run.becomes("three").await;
}

#[tokio::test]
async fn a_module_that_cannot_be_fetched_is_refused() {
    let server = Server::start(marking("one")).await;
    let run = Marking::start(&server.import("")).await;
    let refusal = async |answer: Answer| {
        server.answers(answer);
        // Other arguments: with the same ones it would go on.
        let refusal = run.refusal(&server.import("method = \"POST\"")).await;
        assert_eq!(run.edge().await, "one");
        refusal
    };
    let refused = refusal(Answer::Reply(503, String::new())).await;
    assert!(refused.contains("cannot fetch the module: the server answered 503"), "{refused}");
    assert!(refused.contains("config.alloy:2:7"), "{refused}");
    let refused = refusal(Answer::Silence).await;
    assert!(refused.contains("no whole answer within poll_timeout"), "{refused}");
    // What comes over the network may not read this host's files.
    let reading = "import.file \"x\" { filename = \"/etc/x.alloy\" }".to_owned();
    let refused = refusal(Answer::Reply(200, reading)).await;
    assert!(refused.contains("may not bring an import.file"), "{refused}");
    let late = server.import("").replace("900ms", "1s");
    let refused = run.refusal(&late).await;
    assert!(refused.contains("must be less than poll_frequency"), "{refused}");
    let nowhere = run.refusal("import.http \"lib\" { url = \"lib.alloy\" }").await;
    assert!(nowhere.contains("has no scheme"), "{nowhere}");

    // At the start as well.
    server.answers(Answer::Reply(404, String::new()));
    let output = Flamegate::run_to_end(&server.import(""), "127.0.0.1:0").await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("the server answered 404"), "{stderr}");
}
